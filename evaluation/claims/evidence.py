"""Evidence for each claim: typed records of figures, None where something was not measured.

Source of the predicates over them: docs/references.md, key evaluation (section 9).
"""

from __future__ import annotations

from typing import NamedTuple

SIGNS, SMALL = 10 / 12, 1e9


class Toward(NamedTuple):
    """The gain toward the target: ends of its intervals, by what was held out of training.

    wordings_low: on held-out outcomes in wordings that training did not use. beyond_retest: the
    move toward the target exceeds 95 % of the test-retest; away_beyond_retest: the move away from
    it does.
    trained_low: on the trained pairs. seeds: number of training seeds.
    """

    outcomes_low: float
    outcomes_high: float
    wordings_low: float | None
    beyond_retest: bool | None
    away_beyond_retest: bool | None
    trained_low: float | None
    seeds: int

    @property
    def away(self) -> bool:
        """Whether a move away from the target was shown."""
        return self.outcomes_high < 0 and bool(self.away_beyond_retest)


class Rose(NamedTuple):
    """One outcome: moved (with false discovery control, beyond the retest); wordings that agree."""

    outcome: str
    moved: bool
    up: bool
    same_sign: int
    wordings: int

    @property
    def direction(self) -> str:
        """The direction as a verb."""
        return "rose" if self.up else "fell"


class Preferred(NamedTuple):
    """One pair: whether strong over the wordings, share of "no preference", answer mass."""

    first: str
    second: str
    strong: bool
    ties: float | None
    mass: float | None
    wordings: int


class Stability(NamedTuple):
    """Reliability of one wording, flip rate, agreement of wordings (Kendall's W), outcome share.

    outcome_share: NaN if no answer leans either way.
    """

    icc_low: float
    flips: float
    concordance: float
    outcome_share: float
    wordings: int


class Templates(NamedTuple):
    """In how many wordings choices were elicited."""

    wordings: int

    @property
    def listed(self) -> str:
        """The wordings in words."""
        return (
            "the one wording listed"
            if self.wordings == 1
            else f"the {self.wordings} listed wordings"
        )


class GroupWorth(NamedTuple):
    """Share of wordings that contradict the others' mean when groups of people are compared."""

    flips: float | None


class PanelMargins(NamedTuple):
    """Panel against population: the table, the widest distance, and how many margins."""

    table: str
    widest: float
    expected: float
    margins: int


class Agreement(NamedTuple):
    """Share of citizens on their table's majority side before and after, with controls.

    shuffled, alone: lower ends of how much more it rose than with shuffled personas, and than with
    one model asked alone; None if not run.
    """

    before: float
    after: float
    low: float
    contested: float
    shuffled: float | None
    alone: float | None


class Kept(NamedTuple):
    """One figure of retention: bounds of the loss, its margin, and what N items can rule out."""

    loss: float
    low: float
    high: float
    margin: float
    items: int
    supported: float
    others_kept: bool


class SideEffects(NamedTuple):
    """Part of the move not toward the target, minus the test-retest's; topics that moved too.

    side_effect: None if no move was shown, or if there is no common scale.
    """

    side_effect: float | None
    topics: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The topics, separated by commas."""
        return ", ".join(self.topics)


class HiringInfluence(NamedTuple):
    """Level of evidence in the hiring audit (0 to 6), its words, and whether E1 is in the margin.

    contexts, prompts: how many of each have that interval within the margin.
    """

    level: int
    words: str
    margin: float
    recovered: bool
    inside: bool
    contexts: int
    prompts: int


class Ratio(NamedTuple):
    """Lowest over highest selection rate."""

    value: float
    low: float
    high: float
    omnibus: float
    chance: float


class Fairness(NamedTuple):
    """Change of the gap with alignment, its interval, and how the gap changed.

    direction: narrower, wider or reversed if that was shown, else empty.
    """

    change: float
    low: float
    high: float
    direction: str
    margin: float
    recovered: bool

    @property
    def most(self) -> float:
        """The larger end of the interval, whatever the sign."""
        return max(abs(self.low), abs(self.high))


class Scale(NamedTuple):
    """Number of model sizes, families within which they are compared, and least seeds per model.

    agree: every figure of the claim improves with size, and so does its slope's interval. p: the
    largest of their exact p values, None without a trend. largest: parameters of the largest model.
    """

    sizes: int
    families: int
    agree: bool
    p: float | None
    seeds: int
    largest: float

    @property
    def named(self) -> str:
        """The families in words."""
        return "one family" if self.families == 1 else f"{self.families} families"

    @property
    def caution(self) -> str:
        """The caveat for small models."""
        if self.largest >= SMALL:
            return ""
        return (
            f"; they have at most {self.largest:.2g} parameters, which is no evidence about large "
            "models"
        )


class ReadOut(NamedTuple):
    """Probe with whole topics held out: lower ends of its R2, selectivity and smallest lead.

    lead: over a baseline. beyond_shuffled: better than with any shuffle of the labels. topical:
    decodable when outcomes are split at random.
    """

    place: str
    r2_low: float
    selectivity_low: float
    lead_low: float
    beyond_shuffled: bool
    topical: bool


class Steered(NamedTuple):
    """Dose response along a direction, its lower end, and the largest of random directions."""

    effect: float
    effect_low: float
    random_largest: float
    directions: int


class PValues(NamedTuple):
    """Whether a plan was locked before any data, and how many tests were run."""

    locked: bool
    after_lock: bool
    tests: int
    hash: str


class Anchored(NamedTuple):
    """Decrease of the distance to people's and simulated citizens' survey answers, with intervals.

    informative: the model gives the answers enough probability mass.
    """

    people: float
    people_low: float
    simulated: float | None
    simulated_low: float | None
    informative: bool
    items: int
