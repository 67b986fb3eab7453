"""Records of an assembly's diagnostics: influence, conformity, diversity, reliability.

None is "not measured".
"""

from __future__ import annotations

from pydantic import Field

from plenary.runs.records.base import Record

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


class InfluenceRecord(Record):
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

    influence: InfluenceRecord | None = Field(description="none: see not_measured")
    conformity: ConformityRecord | None = Field(description="none: see not_measured")
    spread: SpreadRecord | None = Field(description="opinions before and after")
    strata: tuple[StratumRecord, ...] = Field(description="movement by stratum")
    sizes: tuple[SizeRecord, ...] = Field(description="reliability by size of the panel")
    errors: tuple[PartRecord, ...] = Field(description="variance components of a label")
    cycles: CyclesRecord | None = Field(description="none: see not_measured")
    novelty: NoveltyRecord | None = Field(description="none unless dataset.novelty is on")
    not_measured: dict[str, str] = Field(
        default={}, description="what these ballots cannot tell -> why"
    )
    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a citizens' model cannot read"
    )
