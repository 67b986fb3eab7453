"""Human anchor: distance of a model's survey answers to people's, before and after alignment.

The items and the shares of people's answers come from outside (in a run: the General Social
Survey). The model is compared with the simulated citizens of the assembly as well: alignment aims
at them, so a model can move closer to them without moving closer to people. Shapes: C askers, A
answers, I items.
Source: docs/references.md, keys santurkar2023, park2024, gss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.batteries.base import BatteryItem, BatteryResult, Measure, SurveyQuestion
from evaluation.claims.claims import ANCHOR, Finding
from evaluation.claims.evidence import Anchored
from plenary.errors import DataError
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Message,
    check_replies,
    copies,
    drawn,
)
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

TITLE = "Human anchor"

DEFINITION = (
    "Mean over survey items of the total variation distance between a model's shares of the "
    "answers, both orders of the answers averaged, and the weighted shares of people (0 is the "
    "same, 1 disjoint). Agreement is the chance that a draw from the model and a person give the "
    "same answer; people who are asked again repeat their own answer as often as the retest says."
)

LETTERS = "ABCDEFGHIJKLMNOPQRST"

REPLICATES, LEAST_USABLE, INTERVAL = 2000, 0.5, "95 %, bootstrap over items"


class Given(NamedTuple):
    """Answers of one model: shares [C, A] by item, NaN where there is no valid answer.

    by_answer, by_letter: mean distance between the two orders, with answers matched by content and
    by the letter they are listed under; for a model that reads, the distance by content is smaller.
    """

    model: str
    shares: Mapping[str, FloatArray]
    by_answer: float
    by_letter: float
    asked: int
    invalid: int

    @property
    def usable(self) -> float:
        """Share of askers x items with a valid answer."""
        return float(np.mean([np.isfinite(table[:, 0]).mean() for table in self.shares.values()]))

    @property
    def informative(self) -> bool:
        """Whether the model answers, and does so by content rather than by letter."""
        return self.usable >= LEAST_USABLE and self.by_answer < self.by_letter


class Citizens(NamedTuple):
    """Answers of the simulated citizens, their weights [C], and members by survey group."""

    given: Given
    weight: FloatArray
    members: Mapping[str, IntArray]


async def survey_answers(
    model: ChatBackend,
    questions: Sequence[SurveyQuestion],
    systems: Sequence[str | None] = (None,),
    *,
    samples: int = 10,
    seed: int = 0,
    least_mass: float = 0.5,
) -> Given:
    """Ask every question in both orders, as each of `systems`; low mass counts as no answer."""
    if not questions:
        raise DataError("there is no survey item to ask; give at least one")
    found: dict[str, FloatArray] = {}
    gaps: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    asked = invalid = 0
    for size in sorted({len(question.people) for question in questions}):
        some = [question for question in questions if len(question.people) == size]
        told = list(zip(systems, copies(systems), strict=True))
        prompts = [_as(s, d, order) for s, d in told for q in some for order in q.orders]
        choices = await model.choose(prompts, tuple(LETTERS[:size]), samples=samples, seed=seed)
        check_replies(model.name, len(prompts), len(choices))
        rows = np.array([_shares(choice, size, least_mass) for choice in choices])
        table = rows.reshape(len(systems), len(some), 2, size)
        listed, turned = table[:, :, 0], table[:, :, 1]
        for kept, other in zip(gaps, (turned[..., ::-1], turned), strict=True):
            kept.append(np.abs(listed - other).sum(axis=-1).ravel() / 2)
        both = (listed + turned[..., ::-1]) / 2
        found |= {question.key: both[:, k] for k, question in enumerate(some)}
        asked += sum(choice.asked for choice in choices)
        invalid += sum(choice.invalid for choice in choices)
    by_answer, by_letter = (_known_mean(gap) for gap in gaps)
    return Given(model.name, found, by_answer, by_letter, asked, invalid)


def _known_mean(parts: Sequence[FloatArray]) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _as(system: str | None, draw: str, asked: Conversation) -> Conversation:
    return drawn(asked if system is None else (Message("system", system), *asked), draw)


def _shares(choice: Choice, size: int, least_mass: float) -> tuple[float, ...]:
    low = choice.mass is not None and choice.mass < least_mass
    return (np.nan,) * size if low or not choice.shares else choice.shares


async def measure(
    model: ChatBackend,
    questions: Sequence[SurveyQuestion],
    seed: int,
    *,
    samples: int = 10,
    least_mass: float = 0.5,
) -> BatteryResult:
    """One model's distance to people."""
    given = await survey_answers(
        model, questions, samples=samples, seed=seed, least_mass=least_mass
    )
    means = _means(given, np.ones(1))
    informative = given.informative
    measures = _figures("model", means, questions, seed, informative) + _limits(questions)
    sentence = (
        "How close the answers are to people's is reported in figures only."
        if informative
        else ANCHOR.say(Anchored(0, 0, None, None, informative=False, items=0)).sentence
    )
    return _result(given, measures, (Finding(sentence, False),))


def anchored(
    before: Given,
    after: Given,
    citizens: Citizens | None,
    questions: Sequence[SurveyQuestion],
    seed: int,
) -> BatteryResult:
    """Whether control moved the model toward people, or toward the simulated citizens only."""
    one = np.ones(1)
    sides = {"before": _means(before, one), "after": _means(after, one)}
    informative = before.informative and after.informative
    people = {q.key: q.people for q in questions}
    measures: list[Measure] = []
    for name, means in sides.items():
        measures += _figures(name, means, questions, seed, informative)
    nearer = _fall(sides, people, seed) if informative else None
    simulated = None
    if citizens is not None:
        said = _means(citizens.given, citizens.weight)
        measures += _figures("citizens", said, questions, seed, citizens.given.informative)
        measures += _by_group(citizens, questions)
        simulated = _fall(sides, said, seed) if informative and citizens.given.informative else None
    measures += [
        _measure(f"fall of the distance to {name}", found, floor=0.0, better="higher")
        for name, found in (("people", nearer), ("simulated citizens", simulated))
    ]
    evidence = Anchored(
        people=0.0 if nearer is None else nearer.value,
        people_low=0.0 if nearer is None else nearer.low,
        simulated=None if simulated is None else simulated.value,
        simulated_low=None if simulated is None else simulated.low,
        informative=informative,
        items=0 if nearer is None else nearer.n,
    )
    return _result(after, (*measures, *_limits(questions)), (ANCHOR.say(evidence),), before)


def _result(
    given: Given,
    measures: Sequence[Measure],
    findings: tuple[Finding, ...],
    other: Given | None = None,
) -> BatteryResult:
    parts = [given] if other is None else [other, given]
    return BatteryResult(
        battery="human_anchor",
        title=TITLE,
        definition=DEFINITION,
        model=given.model,
        asked=sum(part.asked for part in parts),
        invalid=sum(part.invalid for part in parts),
        measures=tuple(measures),
        findings=findings,
    )


class _Mean(NamedTuple):
    """A mean over items with its bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


def _bootstrap(values: Sequence[float], seed: int) -> _Mean | None:
    known = np.array([v for v in values if np.isfinite(v)])
    if len(known) < 2:
        return None
    rng = generator(seed, "human anchor", "bootstrap")
    draws = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), REPLICATES) @ known
    low, high = np.quantile(draws / len(known), [0.025, 0.975])
    return _Mean(float(known.mean()), float(low), float(high), len(known))


def _measure(
    name: str,
    found: _Mean | None,
    *,
    floor: float | None,
    better: str,
    note: str = "",
    items: tuple[BatteryItem, ...] = (),
) -> Measure:
    if found is None:
        return Measure.model_validate(
            {"name": name, "value": None, "n": 0, "floor": floor, "better": better, "note": note}
        )
    return Measure.model_validate(
        {
            "name": name, "value": found.value, "low": found.low, "high": found.high,
            "interval": INTERVAL, "n": found.n, "floor": floor, "better": better, "note": note,
            "items": items,
        }
    )  # fmt: skip


def _means(given: Given, weight: FloatArray) -> dict[str, FloatArray]:
    """Weighted mean answer [A] of each item, over askers with a valid one."""
    means = {}
    for key, table in given.shares.items():
        known = np.isfinite(table[:, 0])
        if known.any():
            means[key] = weight[known] @ table[known] / weight[known].sum()
    return means


def distance(p: FloatArray, q: FloatArray) -> float:
    """Total variation distance: 0 the same, 1 disjoint."""
    return float(np.abs(p - q).sum() / 2)


def _fall(
    sides: Mapping[str, Mapping[str, FloatArray]], goal: Mapping[str, FloatArray], seed: int
) -> _Mean | None:
    """Distance to the goal before minus after, on the items that all answered."""
    keys = [k for k in goal if all(k in means for means in sides.values())]
    gaps = {name: [distance(means[k], goal[k]) for k in keys] for name, means in sides.items()}
    pairs = zip(gaps["before"], gaps["after"], strict=True)
    return _bootstrap([old - new for old, new in pairs], seed)


def _figures(
    name: str,
    means: Mapping[str, FloatArray],
    questions: Sequence[SurveyQuestion],
    seed: int,
    informative: bool,
) -> list[Measure]:
    kept = [q for q in questions if q.key in means] if informative else []
    even = float(np.mean([distance(np.full(len(q.people), 1 / len(q.people)), q.people)
                          for q in questions]))  # fmt: skip
    chance = float(np.mean([1 / len(q.people) for q in questions]))
    gaps = [BatteryItem((q.key,), distance(means[q.key], q.people)) for q in kept]
    agree = [BatteryItem((q.key,), float(means[q.key] @ q.people)) for q in kept]
    return [
        _measure(label, _bootstrap([item.value for item in items], seed), floor=floor,
                 better=better, items=tuple(items))
        for label, items, floor, better in (
            (f"distance to people, {name}", gaps, even, "lower"),
            (f"agreement with a person, {name}", agree, chance, "higher"),
        )
    ]  # fmt: skip


def _by_group(citizens: Citizens, questions: Sequence[SurveyQuestion]) -> list[Measure]:
    """Distance of the citizens of each group to the people of that group."""
    rows = []
    for group, members in citizens.members.items():
        table = {key: shares[members] for key, shares in citizens.given.shares.items()}
        own = _means(citizens.given._replace(shares=table), citizens.weight[members])
        gaps = [distance(own[q.key], q.groups[group]) for q in questions
                if q.key in own and group in q.groups]  # fmt: skip
        if gaps:
            found = _Mean(float(np.mean(gaps)), np.nan, np.nan, len(gaps))
            note = f"{len(members)} citizens"
            name = f"distance to people of {group}, citizens"
            rows.append(Measure(name=name, value=found.value, n=found.n, better="lower", note=note))
    return rows


def _limits(questions: Sequence[SurveyQuestion]) -> list[Measure]:
    """What people reach: agreement with another person, and with their own earlier answer."""
    other = float(np.mean([float(q.people @ q.people) for q in questions]))
    retest = [q.retest for q in questions if q.retest is not None]
    return [
        Measure(name="agreement of two people", value=other, n=len(questions), better="neither"),
        Measure(
            name="agreement of a person with themselves (retest)",
            value=float(np.mean(retest)) if retest else None,
            n=len(retest),
            note="the ceiling of agreement for anybody who is asked again",
        ),
    ]
