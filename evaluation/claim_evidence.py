"""What each claim rests on: typed records of figures, None where something was not measured.

Source of the predicates over them: docs/references.md, key evaluation (section 9).
"""

from __future__ import annotations

from typing import NamedTuple

SIGNS = 10 / 12


class Toward(NamedTuple):
    """Lower and upper ends of the gain's interval, by what was held out.

    wordings_low: on held-out outcomes in wordings that training did not use. beyond_null: further
    than 95 % of the null run. trained_low: on the trained pairs. seeds: of training.
    """

    outcomes_low: float
    outcomes_high: float
    wordings_low: float | None
    beyond_null: bool | None
    trained_low: float | None
    seeds: int


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


class Frames(NamedTuple):
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
    """How often a comparison of groups of people changes sign between wordings."""

    flips: float | None


class Margins(NamedTuple):
    """Panel against population: the table, the widest distance, and how many margins."""

    table: str
    widest: float
    expected: float
    margins: int


class Agreement(NamedTuple):
    """Share of citizens on their table's majority side before and after, and the controls.

    shuffled, alone: the same rise with shuffled personas, and with one model asked alone; None
    where not run.
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
    """Part of the move that is beside the target, less the null run's; topics that moved too."""

    side_effect: float | None
    topics: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The topics in a row."""
        return ", ".join(self.topics)


class Influence(NamedTuple):
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
    """Change of the gap with alignment: permutation p, size, placebo limit, whether it narrowed."""

    p: float
    change: float
    placebo: float
    narrowed: bool
    margin: float
    recovered: bool

    @property
    def direction(self) -> str:
        """As an adjective of the gap."""
        return "narrower" if self.narrowed else "wider"


class Scale(NamedTuple):
    """Sizes of one family; whether all measures of the claim are at hand and agree; seeds."""

    sizes: int
    complete: bool
    p: float | None
    seeds: int


class ReadOut(NamedTuple):
    """Probe of a layer, topics left out: R2, the best baseline's, lower end of selectivity."""

    layer: int
    r2: float
    baseline: float
    selectivity_low: float


class Steered(NamedTuple):
    """Dose response along a direction, and the largest of 20 random directions."""

    effect: float
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
