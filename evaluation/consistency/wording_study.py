"""Wording study (prompt sensitivity): asks one or several models the same pairs in many wordings.

How much of an answer is the outcome and how much the wording? A wording that a model does not
answer is excluded and listed, never imputed. Shapes: P pairs, F wordings. Source:
docs/references.md, key evaluation (section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from evaluation.consistency import wording_variance as budget
from evaluation.elicitation.asking import Answers, Subject, ask
from evaluation.elicitation.elicit import ElicitationSettings, both_orders
from evaluation.stats.intervals import Estimate, bootstrap_interval, node_weights
from plenary.errors import DataError
from plenary.models.base import ChatBackend
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets
from plenary.prompt_templates import FACTORS, PROMPT_TEMPLATES, PromptTemplate, plackett_burman
from plenary.seeding import generator

TRIAL, REASONED = 4, 5
REPLICATES = 2000


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class WordingEstimate(_Record):
    """A figure, its 95 % interval (jackknife over outcomes and wordings), and its floor."""

    value: float = Field(description="the figure")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")
    floor: float = Field(description="what a chooser without preferences gives")


class WordingRow(_Record):
    """How one wording was answered."""

    name: str = Field(description="template id")
    trained: bool = Field(description="training used it")
    mass: float | None = Field(description="mean total probability of its answer labels")
    invalid: float = Field(description="share of answers refused, failed or unreadable")
    undecided: float | None = Field(description="share of no preference if that is offered")
    excluded: str = Field(description="why it does not count; empty if it does")


class FactorRow(_Record):
    """Main effect of one factor of the wording, high minus low, in log odds."""

    name: str = Field(description="factor")
    low: str = Field(description="what its low level is")
    high: str = Field(description="what its high level is")
    slot: float = Field(description="on the mean slot effect")
    size: float = Field(description="on the mean size of a preference")


class WordingSide(_Record):
    """The variance shares of one model."""

    shares: dict[str, float] = Field(description="share of the variance of one answer, by source")
    icc: WordingEstimate = Field(description="reliability of one wording asked in both orders")
    flips: WordingEstimate = Field(
        description="share of answers that contradict the other wordings' mean"
    )
    strong: WordingEstimate = Field(description="share of pairs that may be named individually")
    named: tuple[int, ...] = Field(description="which pairs these are")
    wordings_needed: float = Field(description="wordings needed for reliability .9")
    position: WordingEstimate = Field(
        description="share of pairs with the same slot in both orders"
    )
    concordance: float = Field(description="Kendall's W of the wordings over pairs")
    preference: tuple[float, ...] = Field(description="mean log odds of each pair over wordings")
    ties: tuple[float, ...] = Field(
        description="share of no preference of each pair; empty if no wording offers it"
    )
    manufactured: WordingEstimate | None = Field(
        description="share of pairs with a clear forced choice and no preference when offered"
    )
    factors: tuple[FactorRow, ...] = Field(description="empty unless the whole design is answered")


class WordingStudy(_Record):
    """Models on the same pairs and wordings; sides are empty if too little was answered.

    gain and rises belong to sides called before and after.
    """

    note: str = Field(description="why there are no variance shares; empty if there are")
    pairs: tuple[tuple[int, int], ...] = Field(description="pairs answered in every wording used")
    used: tuple[str, ...] = Field(description="wordings that count")
    wordings: dict[str, tuple[WordingRow, ...]] = Field(description="by side, as given")
    sides: dict[str, WordingSide] = Field(description="by side")
    gain: WordingEstimate | None = Field(
        description="change of agreement with the target in wordings that training did not use"
    )
    rises: dict[int, tuple[int, int]] = Field(
        description="outcome -> wordings in which it rose, and in which it fell"
    )
    asked: int = Field(description="answers asked for")
    invalid: int = Field(description="invalid answers among them")


class TemplateAnswers(NamedTuple):
    """One model's answers by wording: those that count, and a row on every wording."""

    answers: Mapping[str, Answers]
    rows: tuple[WordingRow, ...]
    asked: int
    invalid: int


async def ask_wordings(
    backend: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    forms: Sequence[PromptTemplate],
    trained: Sequence[str],
    settings: ElicitationSettings,
    seed: int,
) -> TemplateAnswers:
    """Ask pairs [P, 2] in both orders in every wording.

    The first pairs are a trial: a wording that is not answered there is not asked any further. A
    backend with exact answers samples only if it reasons first, and then a few samples are enough.
    """
    subject = Subject(backend, texts, None, seed)
    kept: dict[str, Answers] = {}
    rows, asked, invalid = [], 0, 0
    samples = min(settings.samples, REASONED) if backend.exact_choice else settings.samples
    for form in forms:
        for some, times in ((pairs[:TRIAL], 1), (pairs, samples)):
            answers = await ask(subject, form, both_orders(some), times, settings.reason_tokens)
            asked, invalid = asked + answers.asked, invalid + answers.invalid
            excluded = _unanswered(answers, settings)
            if excluded:
                break
        else:
            low = answers.mass < settings.min_mass
            kept[form.id] = answers._replace(cells=answers.cells.emptied(low))
        rows.append(_row(form, form.id in trained, answers, excluded))
    return TemplateAnswers(kept, tuple(rows), asked, invalid)


def _unanswered(answers: Answers, settings: ElicitationSettings) -> str:
    low = answers.mass < settings.min_mass
    empty = ~answers.cells.answered
    if (low | empty).mean() <= settings.max_unusable:
        return ""
    return "answers have too little probability" if low.mean() > empty.mean() else "hardly answered"


def _row(form: PromptTemplate, trained: bool, answers: Answers, excluded: str) -> WordingRow:
    offered = form.offers_no_preference and bool(answers.cells.answered.any())
    return WordingRow(
        name=form.id,
        trained=trained,
        mass=None if np.isnan(answers.mass).all() else float(np.nanmean(answers.mass)),
        invalid=answers.invalid / answers.asked if answers.asked else 0.0,
        undecided=answers.cells.undecided_share if offered else None,
        excluded=excluded,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """Pairs [P, 2] and wordings that all sides answered; log odds and no preference [P] by side."""

    pairs: IntArray
    used: tuple[str, ...]
    odds: dict[str, budget.LogOdds]
    ties: dict[str, FloatArray]


def wording_study(
    sides: Mapping[str, TemplateAnswers],
    pairs: IntArray,
    target: Targets | None,
    seed: int,
    level: float = 0.95,
) -> WordingStudy:
    """The variance shares of each side, on the pairs and wordings that all sides answered."""
    kept = _kept(sides, pairs)
    wordings = {name: side.rows for name, side in sides.items()}
    asked, invalid = (sum(getattr(s, n) for s in sides.values()) for n in ("asked", "invalid"))
    note = _too_little(kept)
    if note:
        return WordingStudy(
            note=note, pairs=(), used=kept.used, wordings=wordings, sides={}, gain=None, rises={},
            asked=asked, invalid=invalid,
        )  # fmt: skip
    changed = {"before", "after"} <= set(kept.odds)
    return WordingStudy(
        note="",
        pairs=tuple((int(a), int(b)) for a, b in kept.pairs),
        used=kept.used,
        wordings=wordings,
        sides={name: _side(name, kept, level) for name in kept.odds},
        gain=_gain(kept, wordings["before"], target, seed) if changed and target else None,
        rises=_rises(kept) if changed else {},
        asked=asked,
        invalid=invalid,
    )


def _too_little(kept: _Kept) -> str:
    if len(kept.used) < 2:
        return (
            f"{len(kept.used)} wordings are answered, and two or more are needed. What the model "
            "prefers in other wordings is not known"
        )
    if len(np.unique(kept.pairs)) < 4 or len(kept.pairs) < 3:
        return (
            f"{len(kept.pairs)} pairs are answered in every wording; raise measures.wording_pairs"
        )
    return ""


def _kept(sides: Mapping[str, TemplateAnswers], pairs: IntArray) -> _Kept:
    answered = [set(side.answers) for side in sides.values()]
    order = [row.name for row in next(iter(sides.values())).rows]
    used = tuple(name for name in order if all(name in names for names in answered))
    whole = np.ones(len(pairs), dtype=bool)
    for side in sides.values():
        for name in used:
            trials = side.answers[name].cells.trials.reshape(-1, 2)
            whole &= (trials > 0).all(axis=1)
    odds, ties = {}, {}
    if used and whole.any():
        for name, side in sides.items():
            odds[name] = budget.log_odds([side.answers[f].cells for f in used], pairs[whole])
            ties[name] = _ties(side, used)[whole]
    return _Kept(pairs[whole], used, odds, ties)


def _ties(side: TemplateAnswers, used: Sequence[str]) -> FloatArray:
    """Share of no preference [P] among readable answers, over the wordings that offer it."""
    offering = [side.answers[row.name].cells for row in side.rows
                if row.name in used and row.undecided is not None]  # fmt: skip
    if not offering:
        return np.full(len(side.answers[used[0]].cells) // 2, np.nan)
    shares = [c.undecided / np.maximum(c.trials + c.undecided, 1e-12) for c in offering]
    return np.mean(shares, axis=0).reshape(-1, 2).mean(axis=1)


def _estimate(found: Estimate) -> WordingEstimate:
    return WordingEstimate(value=found.value, low=found.low, high=found.high, floor=found.floor)


def _side(name: str, kept: _Kept, level: float) -> WordingSide:
    odds, ties, pairs = kept.odds[name], kept.ties[name], kept.pairs
    found = budget.wording(odds, pairs, level)
    strong = budget.strong_preferences(odds, pairs, level)
    offered = not np.isnan(ties).any()
    made = budget.manufactured_preferences(odds, ties, pairs, level) if offered else None
    h, s = _parts(odds)
    return WordingSide(
        shares=found.budget.shares._asdict(),
        icc=_estimate(found.icc),
        flips=_estimate(budget.flip_rate(odds, pairs, level)),
        strong=_estimate(strong.share),
        named=tuple(np.flatnonzero(strong.holds).tolist()),
        wordings_needed=max(found.templates_needed, 1.0),
        position=_estimate(budget.position_dominance(odds, pairs, level)),
        concordance=concordance(h),
        preference=tuple(h.mean(axis=1).tolist()),
        ties=tuple(ties.tolist()) if offered else (),
        manufactured=None if made is None else _estimate(made),
        factors=factor_effects(h, s, kept.used),
    )


def _parts(odds: budget.LogOdds) -> tuple[FloatArray, FloatArray]:
    """Preference h and slot effect s, each [P, F]."""
    l0, l1 = odds.first[..., 0], odds.first[..., 1]
    return (l0 - l1) / 2, (l0 + l1) / 2


def concordance(h: FloatArray) -> float:
    """Kendall's W [kendall1939] of F wordings as judges who rank P pairs; 1 / F if unrelated."""
    p, f = h.shape
    ranks = stats.rankdata(h, axis=0).sum(axis=1)
    return float(12 * ((ranks - ranks.mean()) ** 2).sum() / (f**2 * (p**3 - p)))


def factor_effects(h: FloatArray, s: FloatArray, used: Sequence[str]) -> tuple[FactorRow, ...]:
    """Main effects; only the whole design can tell factors apart."""
    if not set(PROMPT_TEMPLATES) <= set(used):
        return ()
    at = [list(used).index(name) for name in PROMPT_TEMPLATES]
    levels = plackett_burman().astype(bool)
    columns = s.mean(axis=0)[at], np.abs(h).mean(axis=0)[at]
    rows = []
    for k, factor in enumerate(FACTORS):
        high = levels[:, k]
        slot, size = (float(c[high].mean() - c[~high].mean()) for c in columns)
        rows.append(
            FactorRow(name=factor.name, low=factor.low, high=factor.high, slot=slot, size=size)
        )
    return tuple(rows)


def _gain(
    kept: _Kept, rows: Sequence[WordingRow], target: Targets, seed: int
) -> WordingEstimate | None:
    """Mean change of agreement over wordings that training did not use; outcomes resampled."""
    trained = {row.name for row in rows if row.trained}
    new = np.array([name not in trained for name in kept.used])
    goals = {(int(a), int(b)): p for (a, b), p in zip(target.pairs, target.p, strict=True)}
    goal = np.array([goals.get((int(a), int(b)), np.nan) for a, b in kept.pairs])
    known: BoolArray = ~np.isnan(goal) & (goal != 0.5)
    if not new.any() or not known.any():
        return None
    side = np.sign(goal[known] - 0.5)[:, None]
    agree = {
        name: ((np.sign(_parts(odds)[0][known][:, new]) * side + 1) / 2).mean(axis=1)
        for name, odds in kept.odds.items()
    }
    change = agree["after"] - agree["before"]
    rng = generator(seed, "framing", "bootstrap")
    found = bootstrap_interval(change, node_weights(kept.pairs[known], REPLICATES, rng), 0.95)
    return WordingEstimate(value=float(change.mean()), low=found.low, high=found.high, floor=0.0)


def _rises(kept: _Kept) -> dict[int, tuple[int, int]]:
    """Outcome -> numbers of wordings in which its pairs moved toward it, and away from it."""
    change = _parts(kept.odds["after"])[0] - _parts(kept.odds["before"])[0]
    first, second = kept.pairs[:, 0], kept.pairs[:, 1]
    found = {}
    for k in np.unique(kept.pairs):
        turned = change[first == k].sum(axis=0) - change[second == k].sum(axis=0)
        found[int(k)] = (int((turned > 0).sum()), int((turned < 0).sum()))
    return found


def some_pairs(pairs: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """`count` of the pairs [P, 2] at random, in order; DataError if there are none."""
    if not len(pairs):
        raise DataError("there are no held-out pairs; raise design.held_out_pairs")
    return pairs[np.sort(rng.permutation(len(pairs))[:count])]
