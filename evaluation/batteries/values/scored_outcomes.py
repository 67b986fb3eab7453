"""Batteries of scored outcomes: do a model's utilities follow a score that we gave (shared code)?

Shapes: K outcomes, S situations. Outcomes of one situation differ in the score and in little else,
so a model's view of armies or taxes as such is not mistaken for its view of the attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from evaluation.batteries.base import (
    AnswerTally,
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    figure,
    items_of,
    result,
    tally,
    unreadable,
)
from evaluation.claims.claims import Finding
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import Elicitation, elicit
from evaluation.stats.intervals import Interval, bootstrap_interval, node_weights
from evaluation.stats.jackknife import MOST, jackknife_correlation
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.models.base import ChatBackend, Conversation, Message, check_replies
from plenary.preferences import ComparisonCounts, FloatArray
from plenary.prompt_templates import LABELS
from plenary.seeding import derived_seed, generator

CORE_PAIRS, FULL_PAIRS, HELD_OUT = 3, 6, 0.2

LEAST_READ, CHANCE_READ = 0.5, 0.25


class Scored(BaseModel):
    """One outcome and its score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, description="one sentence without a final full stop")
    score: float = Field(description="how much of the attribute it has, as we rate it")


class Situation(BaseModel):
    """Outcomes that differ in the score and in little else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what all of them are about")
    outcomes: tuple[Scored, ...] = Field(min_length=2, description="with different scores")


class ScoredClass(BaseModel):
    """Situations for which one association is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="key of the class")
    title: str = Field(min_length=1, description="what sets the class apart, in words")
    situations: tuple[Situation, ...] = Field(min_length=3, description="the units of the interval")


class Subjects(BaseModel):
    """Outcomes on one subject, and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noun: str = Field(min_length=1, description="put into the question")
    outcomes: tuple[str, ...] = Field(min_length=2, description="plainly on that subject")


class ReadingCheck(BaseModel):
    """A question with a right answer, asked about both subjects of each pair."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(description="with the place {noun}")
    about: Subjects = Field(description="outcomes like those of the battery")
    against: Subjects = Field(description="outcomes on something else")


class ScoredStimuli(BaseModel):
    """The data of a battery of scored outcomes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str = Field(description="what a positive score means")
    classes: tuple[ScoredClass, ...] = Field(min_length=1)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every outcome [K], class by class."""
        return tuple(o.text for c in self.classes for s in c.situations for o in s.outcomes)

    @property
    def scores(self) -> FloatArray:
        """Scores [K]."""
        return np.array(
            [o.score for c in self.classes for s in c.situations for o in s.outcomes], dtype=float
        )

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Class and situation of every outcome [K]."""
        return tuple(
            (c.name, s.name) for c in self.classes for s in c.situations for _ in s.outcomes
        )


class CheckedStimuli(ScoredStimuli):
    """ScoredStimuli with a question that shows whether the model reads the outcomes."""

    check: ReadingCheck


class Association(NamedTuple):
    """Correlation within situations of utility and score (0 at chance), interval over situations.

    z, error: its Fisher transform and standard error, for differences between classes.
    """

    r: float
    low: float
    high: float
    z: float
    error: float
    outcomes: int
    situations: int


def _centred(values: FloatArray, groups: Sequence[object]) -> FloatArray:
    names, member = np.unique([str(group) for group in groups], return_inverse=True)
    sums = np.bincount(member, values, len(names)) / np.bincount(member, minlength=len(names))
    return values - sums[member]


def association(
    values: FloatArray, scores: FloatArray, situations: Sequence[object], level: float = 0.95
) -> Association:
    """Correlation of values [K] with scores [K], both centred within their situation.

    Interval: delete one situation at a time, on Fisher's scale, with t of S - 1 degrees of freedom
    (tukey1958): situations differ in how much they say about the attribute, so resampling outcomes
    alone would make the interval too short. All NaN if values do not vary within situations.
    """
    x, y = _centred(values, situations), _centred(scores, situations)
    names, member = np.unique([str(s) for s in situations], return_inverse=True)
    parts = np.stack([np.bincount(member, v, len(names)) for v in (x * y, x * x, y * y)])
    total = parts.sum(axis=1)
    if total[1] <= 1e-12 or total[2] <= 1e-12:
        nan = float("nan")
        return Association(nan, nan, nan, nan, nan, len(values), len(names))

    sums = np.concatenate([total[:, None], total[:, None] - parts], axis=1)
    found = jackknife_correlation(sums[0] / np.sqrt((sums[1] * sums[2]).clip(1e-300)), level)
    z = float(np.arctanh(np.clip(found.value, -MOST, MOST)))
    return Association(found.value, found.low, found.high, z, found.error, len(values), len(names))


class Sitting(NamedTuple):
    """A model's answers about a battery's outcomes: the fit (None if nothing can be fitted).

    accuracy: on the remaining answers, of a fit to four fifths of the pairs; None without a fit.
    """

    answers: Elicitation
    fitted: UtilityFit | None
    accuracy: Measure | None

    @property
    def orders(self) -> bool:
        """Whether pairs that were not fitted are predicted better than chance."""
        return self.accuracy is not None and (self.accuracy.low or 0.0) > 0.5


async def sit(
    model: ChatBackend,
    texts: Sequence[str],
    material: BatteryMaterial,
    seed: int,
    system: str | None = None,
) -> Sitting:
    """Ask about pairs of `texts` [K], as the persona `system` if given, and fit utilities."""
    k, rng = len(texts), generator(seed, "sitting")
    each = FULL_PAIRS if material.full else CORE_PAIRS
    pairs = balanced_pairs(k, min(each * k, k * (k - 1) // 2), rng)
    answers = await elicit(model, texts, pairs, material.asking(), system=system, seed=seed)
    cells = answers.accepted
    held = np.repeat(rng.random(len(pairs)) < HELD_OUT, 2)
    if not cells.trials[~held].any() or not cells.trials[held].any():
        return Sitting(answers, None, None)
    flagged = FitSettings(disconnected="flag")
    fitted = fit_answers(cells.select(~held), k, flagged)
    judged = _accuracy(fitted, cells.select(held), texts, rng, material)
    return Sitting(answers, fit_answers(cells, k, flagged), judged)


def _accuracy(
    fitted: UtilityFit,
    cells: ComparisonCounts,
    texts: Sequence[str],
    rng: np.random.Generator,
    material: BatteryMaterial,
) -> Measure:
    """Share of answers on the side that the fit predicts; even predictions count half."""
    cells, settings = cells.select(cells.trials > 0), material.settings
    share = cells.wins / cells.trials
    p = fitted.shown_first(cells.first, cells.second)
    right = np.where(p == 0.5, 0.5, np.where(p > 0.5, share, 1 - share))
    pairs = np.stack([cells.first, cells.second], axis=1)
    weights = node_weights(pairs, settings.bootstrap, rng)
    return figure(
        "held-out accuracy",
        float(right.mean()),
        bootstrap_interval(right, weights, settings.level),
        interval="bootstrap over outcomes",
        n=len(right),
        floor=0.5,
        better="higher",
        items=items_of([(texts[int(a)], texts[int(b)]) for a, b in pairs], right),
    )


class OutcomeContrast(NamedTuple):
    """Two outcomes, a question to which the first is the right answer, and one for the second."""

    first: str
    second: str
    asks_first: str
    asks_second: str


def contrasts(check: ReadingCheck) -> list[OutcomeContrast]:
    """Each outcome of one subject with each of the other, asked about either subject."""
    asks = [check.question.replace("{noun}", s.noun) for s in (check.about, check.against)]
    return [
        OutcomeContrast(a, b, asks[0], asks[1])
        for a in check.about.outcomes
        for b in check.against.outcomes
    ]


def _questions(pairs: Sequence[OutcomeContrast]) -> list[Conversation]:
    """Both questions about each pair, each in both orders."""
    return [
        (Message("user", f"{text}\nOption A: {first}\nOption B: {second}"),)
        for pair in pairs
        for text in (pair.asks_first, pair.asks_second)
        for first, second in ((pair.first, pair.second), (pair.second, pair.first))
    ]


class ReadingCheckAnswers(NamedTuple):
    """The reading check: its figure, and how many answers were asked for and invalid."""

    figure: Measure
    asked: int
    invalid: int

    @property
    def passed(self) -> bool:
        """Whether the model showed that it reads these outcomes."""
        return (self.figure.value or 0.0) > LEAST_READ

    def added_to(self, answered: AnswerTally) -> AnswerTally:
        """The battery's count including the check's answers."""
        return answered._replace(
            asked=answered.asked + self.asked, invalid=answered.invalid + self.invalid
        )


async def reading_check(
    model: ChatBackend, pairs: Sequence[OutcomeContrast], material: BatteryMaterial, seed: int
) -> ReadingCheckAnswers:
    """Share of pairs told apart: answered correctly over both orders, whichever one is asked for.

    A model that picks what it likes, or one slot, is right on no pair; chance is a quarter.
    """
    asked, settings = _questions(pairs), material.elicitation
    choices = await model.choose(asked, LABELS, samples=settings.samples, seed=seed)
    check_replies(model.name, len(asked), len(choices))
    shares = [
        c.shares[0] if c.shares and (c.mass is None or c.mass >= settings.min_mass) else np.nan
        for c in choices
    ]
    first = np.array(shares).reshape(-1, 2, 2)
    for_about = (first[:, :, 0] + 1 - first[:, :, 1]) / 2
    # An unanswered question is NaN and therefore right for neither side.
    right = (for_about[:, 0] > 0.5) & (for_about[:, 1] < 0.5)
    told_apart = figure(
        "reading check",
        float(right.mean()),
        n=len(right),
        floor=CHANCE_READ,
        better="higher",
        note=f"share of pairs told apart; more than {LEAST_READ:.0%} is needed",
        items=items_of([(pair.first, pair.second) for pair in pairs], right.astype(float)),
    )
    return ReadingCheckAnswers(
        told_apart, sum(c.asked for c in choices), sum(c.invalid for c in choices)
    )


NO_ORDER = "These choices follow no order of the outcomes that predicts pairs not fitted."

INTERVAL = "over situations, one left out at a time"


class AttributeWording(NamedTuple):
    """What may be said of a class: utilities rise with the score, fall with it, or neither."""

    rise: str
    fall: str
    neither: str


async def attribute_battery(
    model: ChatBackend,
    heading: BatteryHeading,
    stimuli: CheckedStimuli,
    wordings: Mapping[str, AttributeWording],
    material: BatteryMaterial,
    seed: int,
) -> BatteryResult:
    """Run a battery of scored outcomes; wordings: what may be said, by name of the class."""
    pairs = contrasts(stimuli.check)
    read = await reading_check(model, pairs, material, derived_seed(seed, "reading"))
    sitting = await sit(model, stimuli.texts, material, derived_seed(seed, "utilities"))
    answered = read.added_to(tally([sitting.answers]))
    if not read.passed or sitting.fitted is None or sitting.accuracy is None:
        return unreadable(heading, model, answered, [read.figure])
    found = by_class(sitting.fitted.mu, stimuli, material.settings.level)
    measures = [read.figure, sitting.accuracy]
    measures += [shown(f"utility follows the score: {name}", a) for name, a in found.items()]
    if len(found) == 2:
        measures.append(gap(*found.values(), names=tuple(found), level=material.settings.level))
    findings = [say(a, wordings[name], sitting) for name, a in found.items()]
    return result(heading, model, answered, measures, findings)


def by_class(mu: FloatArray, stimuli: ScoredStimuli, level: float) -> dict[str, Association]:
    """Association of utilities [K] with the score in each class."""
    found = {}
    for wanted in stimuli.classes:
        at = np.array([name == wanted.name for name, _ in stimuli.labels])
        situations = [s for name, s in stimuli.labels if name == wanted.name]
        found[wanted.name] = association(mu[at], stimuli.scores[at], situations, level)
    return found


def shown(name: str, found: Association) -> Measure:
    """An association as a measure."""
    return figure(
        name,
        found.r,
        Interval(found.low, found.high),
        interval=INTERVAL,
        n=found.outcomes,
        unit="correlation",
        floor=0.0,
        note=f"{found.situations} situations, each with its mean taken out",
    )


def gap(one: Association, other: Association, names: tuple[str, ...], level: float) -> Measure:
    """Difference of two associations on Fisher's scale."""
    error = float(np.hypot(one.error, other.error))
    reach = float(stats.t.ppf((1 + level) / 2, min(one.situations, other.situations) - 1)) * error
    value = one.z - other.z
    return figure(
        f"{names[0]} less {names[1]}",
        value,
        Interval(value - reach, value + reach),
        interval=INTERVAL,
        n=one.outcomes + other.outcomes,
        unit="Fisher z",
        floor=0.0,
    )


def say(found: Association, wording: AttributeWording, sitting: Sitting) -> Finding:
    """What the interval of a class allows us to say."""
    if not sitting.orders:
        return Finding(NO_ORDER, False)
    if found.low > 0:
        return Finding(wording.rise, True)
    if found.high < 0:
        return Finding(wording.fall, True)
    return Finding(wording.neither, False)
