"""Evidence for each claim: typed records of figures, None where something was not measured.

Source of the predicates over them: docs/references.md, key evaluation (section 9).
"""

from __future__ import annotations

from typing import NamedTuple

SIGNS, SMALL = 10 / 12, 1e9


class Toward(NamedTuple):
    """Lower and upper ends of the gain's interval, by what was held out.

    wordings_low: on held-out outcomes in wordings that training did not use. beyond_retest: further
    toward the target than 95 % of the test-retest; away_beyond_retest: further away from it.
    trained_low: on the trained pairs. seeds: of training.
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
    """One outcome: moved after BH and past the null's largest shift; wordings of the same sign."""

    outcome: str
    moved: bool
    up: bool
    same_sign: int
    wordings: int

    @property
    def direction(self) -> str:
        """As a verb."""
        return "rose" if self.up else "fell"


class Preferred(NamedTuple):
    """One pair: strong over the wordings, share that would rather not choose, answer mass."""

    first: str
    second: str
    strong: bool
    ties: float | None
    mass: float | None
    wordings: int


class Stability(NamedTuple):
    """Reliability of one wording, flip rate, agreement of wordings (Kendall's W), outcome share.

    outcome_share: NaN where no answer leans to anything.
    """

    icc_low: float
    flips: float
    concordance: float
    outcome_share: float
    wordings: int


class Templates(NamedTuple):
    """How many wordings choices were elicited in."""

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
    """Share of wordings against the others' mean, over comparisons of groups of people."""

    flips: float | None


class PanelMargins(NamedTuple):
    """Panel against population: the table, the widest distance, and how many margins."""

    table: str
    widest: float
    expected: float
    margins: int


class Agreement(NamedTuple):
    """Share of citizens on their table's majority side before and after, and the controls.

    shuffled, alone: lower ends of how much further it rose than with shuffled personas, and than
    with one model asked alone; None where not run.
    """

    before: float
    after: float
    low: float
    contested: float
    shuffled: float | None
    alone: float | None


class Kept(NamedTuple):
    """One figure of retention: upper bound of the loss, its margin, and what N items support."""

    loss: float
    low: float
    high: float
    margin: float
    items: int
    supported: float
    others_kept: bool


class SideEffects(NamedTuple):
    """Part of the move that is beside the target, less the test-retest's; topics that moved too.

    side_effect: None where no move was shown, or no scale holds it.
    """

    side_effect: float | None
    topics: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The topics in a row."""
        return ", ".join(self.topics)


class HiringInfluence(NamedTuple):
    """Rung of the hiring audit's ladder (0 to 6), its words, and whether E1 lies in the margin.

    contexts, prompts: how many of each hold that interval.
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
    """Change of the gap with alignment, its interval, and what became of the gap.

    direction: narrower, wider or reversed where that was shown, else empty.
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
    """Sizes, and the families that they are compared within; fewest seeds a model.

    agree: every figure of the claim gets better with size, its slope's interval included. p: the
    largest of their exact ones, None without a trend. largest: parameters of the largest model.
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
        """What small models leave open."""
        if self.largest >= SMALL:
            return ""
        return (
            f"; they have at most {self.largest:.2g} parameters, which is no evidence about large "
            "models"
        )


class ReadOut(NamedTuple):
    """Probe with whole topics held out: lower ends of its R2, selectivity, and least lead.

    lead: over a baseline. beyond_shuffled: more than any shuffle of the labels. topical: decodable
    when outcomes are split at random.
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
    """Fall of the distance to people's and to simulated citizens' survey answers, with intervals.

    informative: the model gives the answers enough mass.
    """

    people: float
    people_low: float
    simulated: float | None
    simulated_low: float | None
    informative: bool
    items: int
