"""What the discussion did and how far the labels can be trusted, as recorded and as shown.

None is "not measured".
"""

from __future__ import annotations

from pydantic import Field

from plenary.app.records import Record

Row = tuple[str, ...]
# What may be not measured, by the name it is shown under.
SWAY, CONFORMITY, SPREAD = "who moved others", "conformity", "opinions before and after"
SIZES, ERRORS, CYCLES, NOVELTY = "panels of other sizes", "error of a label", "cycles", "arguments"


class SpeakerRecord(Record):
    """What the statements of one citizen moved."""

    citizen: str = Field(description="id of the citizen")
    statements: int = Field(description="statements that were heard")
    effect: float = Field(description="log odds by which one of them moves a listener to its side")
    error: float | None = Field(description="standard error, clustered by table and pair")
    shrunk: float = Field(description="effect drawn toward the mean by its error; ranks by this")
    moves: bool = Field(description="differs from 0 at a false-discovery rate of 5 %")


class SwayRecord(Record):
    """After whose statements others moved."""

    speakers: int = Field(description="citizens with a listener")
    moving: int = Field(description="of them whose effect differs from 0")
    mean: float = Field(description="mean effect of a statement over speakers, log odds")
    standing_out: int = Field(description="speakers whose effect differs from that mean")
    against: str = Field(description="what the movement is compared with")
    first: tuple[SpeakerRecord, ...] = Field(description="the most persuasive, best first")


class ConformityRecord(Record):
    """Who moved with the majority of the others at the table."""

    index: float = Field(description="net over all movement of the panel; 1 always toward, -1 away")
    strangers: float | None = Field(
        description="the same toward majorities of tables never met; none: an arm is the control"
    )
    toward: float = Field(description="weighted share of citizens x pairs that moved toward it")
    away: float = Field(description="weighted share that moved away")
    flagged: tuple[str, ...] = Field(
        description="citizens who move toward it beyond chance and beyond the comparison"
    )
    against: str = Field(description="what the movement is compared with")


class ChangeRecord(Record):
    """A mean over pairs, and the interval of its change over outcomes."""

    before: float = Field(description="before discussion")
    after: float = Field(description="after discussion")
    low: float = Field(description="lower end of the change")
    high: float = Field(description="upper end of the change")


class SpreadRecord(Record):
    """How far opinions lie apart; a fall is a loss of diversity."""

    panel_entropy: ChangeRecord = Field(description="of the weighted share, bits")
    own_entropy: ChangeRecord = Field(description="mean of each citizen's own, bits")
    variance: ChangeRecord = Field(description="weighted variance between citizens")


class StratumRecord(Record):
    """Movement of the citizens of one stratum."""

    attribute: str = Field(description="attribute")
    category: str = Field(description="category")
    citizens: int = Field(description="citizens in it")
    changed: float = Field(description="weighted share of choices that changed sides")
    shift: float = Field(description="mean absolute change of probability")
    toward: float = Field(description="mean change toward the majority of the others at the table")


class SizeRecord(Record):
    """What a panel of some size gives, by the weighted share whatever the rule."""

    citizens: int = Field(description="size of the panel")
    reliability: float = Field(description="correlation of the shares of two such panels")
    agreement: float = Field(description="pairs on which their majorities agree")
    with_everybody: float = Field(
        description="pairs on which the majority of one is that of the whole population"
    )
    halves_agreement: float | None = Field(description="agreement of disjoint parts of this panel")


class PartRecord(Record):
    """What one source adds to the variance of a label."""

    source: str = Field(description="source")
    note: str = Field(description="what was varied, or why it was not measured")
    share: float | None = Field(description="of the measured variance; none: not measured")
    low: float | None = Field(description="lower end over pairs")
    high: float | None = Field(description="upper end over pairs")


class CyclesRecord(Record):
    """Expected cycle rate on closed triads; coin flips give 1/4, lower is better."""

    triads: int = Field(description="closed triads of the design")
    panel: float = Field(description="of the weighted shares")
    citizens: float = Field(description="mean over citizens")
    by_citizen: dict[str, float] = Field(description="of each citizen")


class NoveltyRecord(Record):
    """Whether statements say something new, by sentence embeddings."""

    repetition: float | None = Field(description="share of later statements that repeat one")
    distinct: float = Field(description="effective number of arguments a pair and side")


class DiagnosticsRecord(Record):
    """Diagnostics of an assembly."""

    sway: SwayRecord | None = Field(description="none: see not_measured")
    conformity: ConformityRecord | None = Field(description="none: see not_measured")
    spread: SpreadRecord | None = Field(description="opinions before and after")
    strata: tuple[StratumRecord, ...] = Field(description="movement by stratum")
    sizes: tuple[SizeRecord, ...] = Field(description="reliability by size of the panel")
    errors: tuple[PartRecord, ...] = Field(description="error budget of a label")
    cycles: CyclesRecord | None = Field(description="none: see not_measured")
    novelty: NoveltyRecord | None = Field(description="none unless dataset.novelty is on")
    not_measured: dict[str, str] = Field(
        default={}, description="what these ballots cannot tell -> why"
    )
    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a citizens' model cannot read"
    )


def rows(record: DiagnosticsRecord) -> tuple[Row, ...]:
    """Name, value and meaning of each finding, for the report and the terminal."""
    return (
        *sway_rows(record.sway),
        *conformity_rows(record.conformity),
        *_spread_rows(record.spread),
        *size_rows(record.sizes),
        *_error_rows(record.errors),
        *_cycle_rows(record.cycles),
        *_novelty_rows(record.novelty),
        *unmeasured_rows(record.not_measured),
        *_unread_rows(record.unread),
    )


def _unread_rows(unread: dict[str, tuple[str, ...]]) -> tuple[Row, ...]:
    return tuple(
        (f"outcome {name}", "not read", f"votes on it mean nothing: {', '.join(words)}")
        for name, words in unread.items()
    )


def unmeasured_rows(not_measured: dict[str, str]) -> tuple[Row, ...]:
    """What could not be told, and why."""
    return tuple((name, "not measured", why) for name, why in not_measured.items())


def strata_rows(record: DiagnosticsRecord) -> tuple[Row, ...]:
    """Movement of each stratum."""
    return tuple(
        (
            one.attribute.replace("_", " "),
            one.category,
            str(one.citizens),
            f"{one.changed:.1%}",
            f"{one.shift:.3f}",
            f"{one.toward:+.3f}",
        )
        for one in record.strata
    )


def sway_rows(found: SwayRecord | None) -> tuple[Row, ...]:
    """Who moved others."""
    if found is None:
        return ()
    first = found.first[0]
    return (
        (
            "speakers who moved others",
            f"{found.moving} of {found.speakers}",
            f"a statement moves its listeners by {found.mean:+.3f} log odds on average; "
            f"{found.standing_out} speakers differ from that; against {found.against}",
        ),
        (
            "largest effect of a speaker",
            f"{first.citizen}: {first.shrunk:+.3f}",
            f"log odds a statement, {first.statements} statements, drawn toward the mean; "
            + ("differs from 0" if first.moves else "does not differ from 0"),
        ),
    )


def conformity_rows(found: ConformityRecord | None) -> tuple[Row, ...]:
    """Who went with the table."""
    if found is None:
        return ()
    return (
        (
            "conformity",
            f"{found.index:+.3f}",
            f"1 always toward the rest of the table, -1 away{_strangers(found.strangers)}; "
            f"{len(found.flagged)} citizens conform beyond {found.against}",
        ),
    )


def _strangers(index: float | None) -> str:
    return "" if index is None else f", {index:+.3f} toward tables never met"


def _spread_rows(found: SpreadRecord | None) -> tuple[Row, ...]:
    if found is None:
        return ()
    kinds = (
        ("evenness of the panel", found.panel_entropy, "entropy of the share, bits"),
        ("indecision of a citizen", found.own_entropy, "entropy of the own choice, bits"),
        ("variance between citizens", found.variance, "less is a loss of diversity"),
    )
    return tuple(
        (
            name,
            f"{c.before:.3f} to {c.after:.3f}",
            f"{note}; change {c.low:+.3f} to {c.high:+.3f}, 95 % over outcomes",
        )
        for name, c, note in kinds
    )


def size_rows(sizes: tuple[SizeRecord, ...]) -> tuple[Row, ...]:
    """Agreement of panels by size, over all pairs."""
    return tuple(
        (
            f"panel of {one.citizens}",
            f"{one.agreement:.1%}",
            "agreement with another such panel over all pairs; "
            f"{one.with_everybody:.1%} with the whole population",
        )
        for one in sizes
    )


def _error_rows(errors: tuple[PartRecord, ...]) -> tuple[Row, ...]:
    return tuple(
        (
            f"error from {part.source}",
            "not measured" if part.share is None else f"{part.share:.1%}",
            part.note
            if part.low is None or part.high is None
            else f"share of a label's measured variance, {part.low:.1%} to {part.high:.1%}: "
            f"{part.note}",
        )
        for part in errors
    )


def _cycle_rows(found: CyclesRecord | None) -> tuple[Row, ...]:
    if found is None:
        return ()
    return (
        (
            "cycles",
            f"{found.citizens:.3f}",
            f"mean over citizens, {found.panel:.3f} for the panel; coin flips give .250; "
            f"{found.triads} triads",
        ),
    )


def _novelty_rows(found: NoveltyRecord | None) -> tuple[Row, ...]:
    if found is None:
        return ()
    repeated = "none later" if found.repetition is None else f"{found.repetition:.1%}"
    return (
        ("repeated statements", repeated, "of those after the first round, by embeddings"),
        ("distinct arguments", f"{found.distinct:.2f}", "effective number a pair and side"),
    )
