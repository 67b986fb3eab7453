"""Tables of an assembly's diagnostics and conditions, for the report and the terminal."""

from __future__ import annotations

from plenary.runs.records.conditions import AgreementRecord, ConditionsRecord
from plenary.runs.records.diagnostics import (
    ConformityRecord,
    CyclesRecord,
    DiagnosticsRecord,
    InfluenceRecord,
    NoveltyRecord,
    PartRecord,
    SizeRecord,
    SpreadRecord,
)


def conditions_rows(record: ConditionsRecord) -> tuple[tuple[str, str], ...]:
    """What discussion did, for the terminal."""
    ends = f"{record.level:.0%}"
    effects = tuple(
        (
            f"discussion compared with {one.control}",
            f"{one.toward_majority:+.4f} toward the earlier majority ({ends} {one.low:+.4f} to "
            f"{one.high:+.4f}); size {one.size:.4f}; {one.shifted} of {one.pairs} pairs shifted",
        )
        for one in record.effects
    )
    probes = tuple(
        (one.probe, f"{one.value:+.4f} ({ends} {one.low:+.4f} to {one.high:+.4f}): {one.measure}")
        for one in record.probes
    )
    who = (
        *influence_rows(record.influence),
        *conformity_rows(record.conformity),
        *unmeasured_rows(record.not_measured),
    )
    return (
        effects
        + probes
        + agreement_rows(record.agreement)
        + tuple((name, f"{value}: {note}") for name, value, note in who)
    )


def agreement_rows(record: AgreementRecord | None) -> tuple[tuple[str, str], ...]:
    """The rise of agreement beyond each control, for the terminal."""
    if record is None:
        return ()
    return tuple(
        (f"agreement compared with {name}", f"extra rise {100 * lead.value:+.1f} points "
         f"(95 % {100 * lead.low:+.1f} to {100 * lead.high:+.1f})")
        for name, lead in (
            ("shuffled personas", record.shuffled), ("one model asked alone", record.alone)
        )
    )  # fmt: skip


Row = tuple[str, ...]


def rows(record: DiagnosticsRecord) -> tuple[Row, ...]:
    """Name, value and meaning of each finding, for the report and the terminal."""
    return (
        *influence_rows(record.influence),
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
        (f"outcome {name}", "not understood", f"votes on it mean nothing: {', '.join(words)}")
        for name, words in unread.items()
    )


def unmeasured_rows(not_measured: dict[str, str]) -> tuple[Row, ...]:
    """What was not measured, and why."""
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


def influence_rows(found: InfluenceRecord | None) -> tuple[Row, ...]:
    """Who moved others."""
    if found is None:
        return ()
    first = found.first[0]
    return (
        (
            "speakers who moved others",
            f"{found.moving} of {found.speakers}",
            f"a statement moves its listeners by {found.mean:+.3f} log odds on average; "
            f"{found.standing_out} speakers differ from that; compared with {found.against}",
        ),
        (
            "largest effect of a speaker",
            f"{first.citizen}: {first.shrunk:+.3f}",
            f"log odds per statement over {first.statements} statements, shrunk toward the mean; "
            + ("differs from 0" if first.moves else "does not differ from 0"),
        ),
    )


def conformity_rows(found: ConformityRecord | None) -> tuple[Row, ...]:
    """Who conformed to the majority at the table."""
    if found is None:
        return ()
    return (
        (
            "conformity",
            f"{found.index:+.3f}",
            "1: always toward the others at the table, -1: always "
            f"away{_strangers(found.strangers)}; "
            f"{len(found.flagged)} citizens conform more than expected; compared with "
            f"{found.against}",
        ),
    )


def _strangers(index: float | None) -> str:
    return "" if index is None else f"; {index:+.3f} toward tables that the citizen never met"


def _spread_rows(found: SpreadRecord | None) -> tuple[Row, ...]:
    if found is None:
        return ()
    kinds = (
        ("evenness of the panel", found.panel_entropy, "entropy of the panel's share, bits"),
        ("indecision of a citizen", found.own_entropy, "entropy of a citizen's choice, bits"),
        ("variance between citizens", found.variance, "a fall is a loss of diversity"),
    )
    return tuple(
        (
            name,
            f"{c.before:.3f} to {c.after:.3f}",
            f"{note}; change {c.low:+.3f} to {c.high:+.3f} (95 % interval over outcomes)",
        )
        for name, c, note in kinds
    )


def size_rows(sizes: tuple[SizeRecord, ...]) -> tuple[Row, ...]:
    """Agreement of panels by size, over all pairs."""
    return tuple(
        (
            f"panel of {one.citizens}",
            f"{one.agreement:.1%}",
            "agreement with another panel of this size over all pairs; "
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
            else f"share of a label's measured variance (interval {part.low:.1%} to "
            f"{part.high:.1%}): {part.note}",
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
            f"mean share of cyclic triads over citizens ({found.panel:.3f} for the panel; coin "
            "flips give "
            f"0.250); "
            f"{found.triads} triads",
        ),
    )


def _novelty_rows(found: NoveltyRecord | None) -> tuple[Row, ...]:
    if found is None:
        return ()
    repeated = "no later ones" if found.repetition is None else f"{found.repetition:.1%}"
    return (
        (
            "repeated statements",
            repeated,
            "of statements after the first round, by embeddings",
        ),
        ("distinct arguments", f"{found.distinct:.2f}", "effective number per pair and side"),
    )
