"""What batteries share: settings, material, asking, intervals, and the form of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.claims.claims import Finding
from evaluation.elicitation.asking import Subject, ask
from evaluation.elicitation.elicit import Elicitation, ElicitationSettings, both_orders, elicit
from evaluation.stats.intervals import Interval, bootstrap_interval, mean_interval, node_weights
from plenary.errors import DataError
from plenary.models.base import ChatBackend, Conversation
from plenary.outcomes import Catalogue, configs_folder
from plenary.preferences import FloatArray, IntArray
from plenary.prompt_templates import PromptTemplate
from plenary.seeding import generator
from plenary.untrusted import read_file

Suite = Literal["core", "full"]

UNREADABLE = "Uninformative: the model did not show that it reads these questions."

Stimuli = TypeVar("Stimuli", bound=BaseModel)


class BatterySettings(BaseModel):
    """How the batteries of the paper are asked and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: int = Field(
        default=40, ge=8, description="outcomes of the catalogue in a core battery; full: 2.5 times"
    )
    bootstrap: int = Field(default=1000, ge=100, description="replicates behind an interval")
    level: float = Field(default=0.95, gt=0, lt=1, description="coverage of every interval")
    allow_group_worth_comparisons: bool = Field(
        default=False,
        description="ask for exchange rates between groups of people; only how much they depend on "
        "the wording is then reported, never a ranking",
    )


class SurveyQuestion(NamedTuple):
    """A closed question and people's answers to it.

    orders: asked with the answers as listed, and reversed. people [A]: answer shares of everybody;
    groups: the same for each group, by name. retest: share of people who repeat their own answer,
    None if unknown.
    """

    key: str
    orders: tuple[Conversation, Conversation]
    people: FloatArray
    groups: Mapping[str, FloatArray]
    retest: float | None


class BatteryMaterial(NamedTuple):
    """What a battery may ask about, and how.

    catalogue: the outcomes that the model can read. elicitation: templates, samples and the least
    answer mass; batteries ask in both orders and report a low mass instead of stopping. survey:
    questions that people were asked, for the human anchor.
    """

    catalogue: Catalogue
    suite: Suite = "core"
    elicitation: ElicitationSettings = ElicitationSettings()
    settings: BatterySettings = BatterySettings()
    survey: tuple[SurveyQuestion, ...] = ()

    @property
    def full(self) -> bool:
        """Whether the long form is asked."""
        return self.suite == "full"

    def outcomes(self, seed: int, *labels: str, least: float = 1.0) -> Catalogue:
        """A random choice of the catalogue's outcomes, the suite's size times `least` in number."""
        wanted = round(self.settings.outcomes * (2.5 if self.full else 1.0) * least)
        rng = generator(seed, "battery", "outcomes", *labels)
        chosen = rng.permutation(len(self.catalogue))[:wanted]
        return self.catalogue.select(np.sort(chosen).tolist())

    def asking(self, *templates: str) -> ElicitationSettings:
        """Both orders, no gate on whole templates; in the templates given, or else the first."""
        return self.elicitation.model_copy(
            update={
                "orders": "both",
                "max_unusable": 1.0,
                "templates": templates or self.elicitation.templates[:1],
            }
        )


def load_stimuli(kind: type[Stimuli], name: str) -> Stimuli:
    """The data of a battery, configs/batteries/`name`.yaml; DataError if it is malformed."""
    path = configs_folder() / "batteries" / f"{name}.yaml"
    return read_file(kind, path, "battery", DataError)


async def ask_pairs(
    model: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    material: BatteryMaterial,
    seed: int,
    *templates: str,
) -> Elicitation:
    """Answers to pairs [P, 2] of `texts` [K] in both orders; low-mass cells are marked excluded."""
    return await elicit(model, texts, pairs, material.asking(*templates), seed=seed)


def worded(name: str, words: str) -> PromptTemplate:
    """A template that puts `words` before two options on lines A and B."""
    return PromptTemplate(name, 1, f"{words}\nOption A: {{a}}\nOption B: {{b}}", trainable=False)


async def ask_worded(
    model: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    form: PromptTemplate,
    material: BatteryMaterial,
    seed: int,
) -> Elicitation:
    """As `ask_pairs`, in a battery's own wording."""
    how = material.elicitation
    subject = Subject(model, texts, None, seed)
    answers = await ask(subject, form, both_orders(pairs), how.samples, how.reason_tokens)
    return Elicitation(
        answers.cells,
        answers.mass < how.min_mass,
        answers.asked,
        answers.invalid,
        answers.mass,
        np.zeros(len(answers.mass), dtype=np.int64),
        (form.id,),
        (),
        answers.cut,
    )


class AnswerTally(NamedTuple):
    """Answers asked for and invalid; share of usable cells; mean answer mass (NaN for counts)."""

    asked: int
    invalid: int
    usable: float
    mass: float


def tally(parts: Sequence[Elicitation]) -> AnswerTally:
    """How well a battery's questions were answered."""
    mass = np.concatenate([part.mass for part in parts])
    answered = np.concatenate([part.accepted.answered for part in parts])
    return AnswerTally(
        sum(part.asked for part in parts),
        sum(part.invalid for part in parts),
        float(np.mean(answered)),
        float(np.nanmean(mass)) if not np.isnan(mass).all() else float("nan"),
    )


def resample(
    statistic: Callable[[IntArray], float],
    units: int,
    rng: np.random.Generator,
    settings: BatterySettings,
) -> Interval:
    """Percentile interval of `statistic`(indices of units drawn with replacement)."""
    draws = np.array(
        [statistic(rng.integers(0, units, units)) for _ in range(settings.bootstrap)], dtype=float
    )
    return ends(draws, settings.level)


def ends(draws: FloatArray, level: float) -> Interval:
    """Percentile interval of the finite draws; NaN ends if there are none."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def figure(name: str, value: float, between: Interval | None = None, **more: object) -> Measure:
    """A measure; numbers that are not finite become None."""
    low, high = between or (float("nan"), float("nan"))
    return Measure.model_validate(
        {"name": name, "value": finite(value), "low": finite(low), "high": finite(high), **more}
    )


def items_of(units: Sequence[tuple[str, ...]], values: FloatArray) -> tuple[BatteryItem, ...]:
    """The items [N] behind a mean, each with what it is about."""
    return tuple(BatteryItem(*one) for one in zip(units, values.tolist(), strict=True))


def finite(value: float) -> float | None:
    """The number, or None where there is none."""
    return float(value) if np.isfinite(value) else None


class BatteryHeading(NamedTuple):
    """The heading of a battery: key in BATTERIES, title, definition."""

    battery: str
    title: str
    definition: str


def result(
    heading: BatteryHeading,
    model: ChatBackend,
    answered: AnswerTally,
    measures: Sequence[Measure],
    findings: Sequence[Finding],
) -> BatteryResult:
    """The result, with the answer mass before the other measures."""
    mass = figure(
        "answer mass",
        answered.mass,
        n=answered.asked,
        better="higher",
        note=f"{answered.usable:.0%} of questions count: their labels hold enough probability",
    )
    return BatteryResult(
        battery=heading.battery,
        title=heading.title,
        definition=heading.definition,
        model=model.name,
        asked=answered.asked,
        invalid=answered.invalid,
        measures=(mass, *measures),
        findings=tuple(findings),
    )


def unreadable(
    heading: BatteryHeading,
    model: ChatBackend,
    answered: AnswerTally,
    measures: Sequence[Measure] = (),
) -> BatteryResult:
    """The result if the reading check failed: nothing is claimed."""
    return result(heading, model, answered, measures, [Finding(UNREADABLE, False)])


class BatteryItem(NamedTuple):
    """One item of a mean: what it is about (one unit, or the two of a pair), and its value."""

    units: tuple[str, ...]
    value: float


class Measure(BaseModel):
    """One figure of a battery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="what is measured, in a few words")
    value: float | None = Field(description="None if the answers do not allow it")
    low: float | None = Field(default=None, description="lower end of the interval")
    high: float | None = Field(default=None, description="upper end of the interval")
    interval: str = Field(default="", description="what the interval is, and its level")
    n: int = Field(ge=0, description="answered items that the value is based on")
    unit: str = Field(default="", description="unit; empty for a pure number")
    floor: float | None = Field(default=None, description="value of a chooser at chance")
    better: Literal["higher", "lower", "neither"] = Field(
        default="neither", description="which direction is better, if any"
    )
    note: str = Field(default="", description="what a reader must know to read it")
    items: tuple[BatteryItem, ...] = Field(
        default=(), description="the items of a mean, if another model can be asked the same ones"
    )


class BatteryResult(BaseModel):
    """The answers of one model to one battery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    battery: str = Field(description="key in BATTERIES")
    title: str = Field(description="title of its section")
    definition: str = Field(description="what the figures mean and where they come from")
    model: str = Field(description="name of the backend")
    asked: int = Field(ge=0, description="answers asked for")
    invalid: int = Field(ge=0, description="refused, failed or unreadable among them")
    measures: tuple[Measure, ...]
    findings: tuple[Finding, ...]

    @property
    def tests(self) -> int:
        """Figures that can be tested against a null value: those with an interval or an exact p."""
        return sum(m.low is not None or m.unit.startswith("p,") for m in self.measures)


LEAST_ITEMS = 5

SETTINGS = BatterySettings(bootstrap=2000)


class PairedChange(NamedTuple):
    """After minus before, its 95 % interval, and the number of items."""

    value: float
    low: float
    high: float
    items: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_change(before: Measure, after: Measure, seed: int) -> PairedChange | None:
    """The paired difference; None if fewer than LEAST_ITEMS items are in both."""
    earlier = {item.units: item.value for item in before.items}
    shared = [item for item in after.items if item.units in earlier]
    if len(shared) < LEAST_ITEMS:
        return None
    gaps = np.array([item.value - earlier[item.units] for item in shared])
    units = [item.units for item in shared]
    rng = generator(seed, "paired", before.name)
    return PairedChange(float(gaps.mean()), *_interval(gaps, units, rng), len(gaps))


def _interval(gaps: FloatArray, units: list[tuple[str, ...]], rng: np.random.Generator) -> Interval:
    if all(len(of) == 1 for of in units):
        return mean_interval(gaps, SETTINGS.level)
    numbers: dict[str, int] = {}
    pairs = [[numbers.setdefault(unit, len(numbers)) for unit in of] for of in units]
    weights = node_weights(np.array(pairs, dtype=np.int64), SETTINGS.bootstrap, rng)
    return bootstrap_interval(gaps, weights, SETTINGS.level)
