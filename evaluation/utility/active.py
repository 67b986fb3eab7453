"""Active elicitation: fit, choose the next pairs (Swiss, Thompson), ask, until precise enough.

Held-out pairs are drawn at random before the first question and are never chosen adaptively.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from evaluation.elicitation.design import pair_codes, random_pairs, random_regular_pairs
from evaluation.elicitation.elicit import Elicitation, ElicitationSettings, elicit
from evaluation.elicitation.order_effect import OrderPilot
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.errors import ConfigError, DataError
from plenary.models.base import ChatBackend
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray
from plenary.seeding import derived_seed, generator

DRAWS = 16

Ask = Callable[[IntArray], Awaitable[ComparisonCounts]]

# Cells [N], number of outcomes, and the previous round's fit (for a warm start) or None.
Fitter = Callable[[ComparisonCounts, int, UtilityFit | None], UtilityFit]

GAPS = 5


class PairSet:
    """Pairs of k outcomes that may not be asked (again), in either order."""

    def __init__(self, k: int, pairs: IntArray) -> None:
        """Start with `pairs` [P, 2]."""
        self.outcomes = k
        self._codes = np.unique(pair_codes(pairs, k))

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, pairs: IntArray) -> None:
        """Add further pairs [P, 2]."""
        fresh = np.unique(pair_codes(pairs, self.outcomes))
        fresh = fresh[~self._holds(fresh)]
        self._codes = np.insert(self._codes, np.searchsorted(self._codes, fresh), fresh)

    def lacks(self, pairs: IntArray) -> BoolArray:
        """Mask [P] of the pairs that are not in the set."""
        return ~self._holds(pair_codes(pairs, self.outcomes))

    def _holds(self, codes: IntArray) -> BoolArray:
        if not len(self._codes):
            return np.zeros(len(codes), dtype=bool)
        at = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return self._codes[at] == codes


def _neighbours(order: IntArray, low: int, high: int) -> IntArray:
    """Pairs of outcomes whose places in the order differ by low..high."""
    gaps = range(low, min(high, len(order) - 1) + 1)
    parts = [np.stack([order[:-gap], order[gap:]], axis=1) for gap in gaps]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)


def _first_uses(pairs: IntArray, most: int) -> BoolArray:
    """Mask [P] of the pairs whose outcomes each occur in fewer than `most` earlier pairs."""
    flat = pairs.ravel()
    order = np.argsort(flat, kind="stable")
    grouped = flat[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    rank = np.arange(len(flat)) - np.repeat(starts, np.diff(np.r_[starts, len(flat)]))
    used = np.empty(len(flat), dtype=np.int64)
    used[order] = rank
    return used.reshape(-1, 2).max(axis=1, initial=0) < most


def _spread(pairs: IntArray, count: int, k: int) -> IntArray:
    """`count` of the pairs [P, 2], early ones first, no outcome much above its share."""
    most, chosen = int(np.ceil(2 * count / k)), np.zeros(len(pairs), dtype=bool)
    while chosen.sum() < count:
        left = np.flatnonzero(~chosen)
        chosen[left[_first_uses(pairs[left], most)]] = True
    return pairs[np.flatnonzero(chosen)[:count]]


def neighbour_pairs(
    utilities: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """At most `count` pairs [P, 2] of near neighbours by `utilities` [K], none taken before.

    Gaps of 1 to 5 places are drawn equally; wider ones are used only when those are used up.
    """
    k, order = len(utilities), np.argsort(utilities, kind="stable")
    found, low, high = np.empty((0, 2), dtype=np.int64), 1, GAPS
    while len(found) < count and low < k:
        ring = _neighbours(order, low, high)
        ring = ring[taken.lacks(ring)]
        found = np.concatenate([found, ring[rng.permutation(len(ring))]])
        low, high = high + 1, 2 * high
    return _spread(found, min(count, len(found)), k)


def swiss(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Neighbours in the order of the utilities mu [K]; their errors sd [K] are ignored."""
    return neighbour_pairs(mu, count, taken, rng)


def thompson(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Neighbours in the order of one draw from the posterior, mu [K] with errors sd [K]."""
    return neighbour_pairs(mu + sd * rng.standard_normal(len(mu)), count, taken, rng)


class ActiveSettings(BaseModel):
    """How pairs are chosen, and when to stop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    selection: Literal["swiss", "thompson", "random"] = Field(
        default="swiss", description="rule by which the next pairs are chosen (SELECTORS)"
    )
    batch: int | None = Field(
        default=None, ge=1, description="pairs per round; by default half the number of outcomes"
    )
    max_pairs: int | None = Field(
        default=None, ge=1, description="most pairs asked; by default 2 K log2 K"
    )
    stop_kendall: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="predicted Kendall correlation with the truth at which to stop",
    )
    held_out_pairs: int = Field(
        default=0, ge=0, description="random pairs asked only for checking, never fitted"
    )


class Round(NamedTuple):
    """One round: pairs so far, predicted Kendall correlation with the truth, and convergence."""

    pairs: int
    predicted: float
    converged: bool


@dataclass(frozen=True, slots=True)
class Exploration:
    """What was asked and found. stopped: "precise", "budget" or "exhausted".

    pairs [P, 2] in the order chosen, with their answers `cells`; held_out [H, 2] with theirs.
    """

    pairs: IntArray
    cells: ComparisonCounts
    held_out: IntArray
    held_out_cells: ComparisonCounts | None
    fit: UtilityFit
    rounds: tuple[Round, ...]
    stopped: Literal["precise", "budget", "exhausted"]


def predicted_kendall(mu: FloatArray, sd: FloatArray, rng: np.random.Generator) -> float:
    """Expected Kendall correlation of mu [K] with the truth, from draws with errors sd [K]."""
    draws = mu + sd * rng.standard_normal((DRAWS, len(mu)))
    return float(np.mean([np.asarray(stats.kendalltau(mu, draw))[0] for draw in draws]))


def default_fitter(settings: FitSettings | None = None) -> Fitter:
    """The MAP fit of all answers so far, started from the previous round's fit.

    Parts of the graph that are not yet connected are flagged.
    """
    chosen = (settings or FitSettings()).model_copy(update={"disconnected": "flag"})
    return lambda cells, outcomes, previous: fit_answers(cells, outcomes, chosen, previous)


def asker(
    backend: ChatBackend,
    texts: Sequence[str],
    settings: ElicitationSettings,
    *,
    system: str | None = None,
    seed: int = 0,
    on_answers: Callable[[Elicitation], None] | None = None,
) -> Ask:
    """Elicit batch after batch from one model; the first batch's order pilot serves all.

    on_answers: receives every batch, with what was excluded and undecided.
    """
    pilots: tuple[OrderPilot, ...] = ()
    batches = 0

    async def ask(pairs: IntArray) -> ComparisonCounts:
        nonlocal pilots, batches
        own = derived_seed(seed, "active", "batch", batches)
        answers = await elicit(
            backend, texts, pairs, settings, system=system, seed=own, pilots=pilots
        )
        pilots, batches = pilots or answers.pilots, batches + 1
        if on_answers is not None:
            on_answers(answers)
        return answers.accepted

    return ask


class _Budget(NamedTuple):
    batch: int
    pairs: int


def _budget(outcomes: int, settings: ActiveSettings) -> _Budget:
    possible = outcomes * (outcomes - 1) // 2 - settings.held_out_pairs
    wanted = settings.max_pairs or round(2 * outcomes * np.log2(outcomes))
    if possible < outcomes:
        raise ConfigError(
            f"{settings.held_out_pairs!r} held-out pairs leave {possible} of {outcomes} outcomes "
            "to choose from; hold fewer out"
        )
    return _Budget(settings.batch or max(outcomes // 2, 1), min(wanted, possible))


async def explore(
    ask: Ask,
    outcomes: int,
    settings: ActiveSettings,
    seed: int,
    fitter: Fitter | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Exploration:
    """Ask a random ring of the outcomes, then, round after round, what the selector chooses.

    Stops when the predicted Kendall correlation reaches `stop_kendall`, when the budget of pairs is
    used up, or when no pair is left.
    """
    if outcomes < 3:
        raise DataError(f"{outcomes!r} outcomes; active comparison needs at least 3")
    budget, fitter = _budget(outcomes, settings), fitter or default_fitter()
    held_out = random_pairs(
        outcomes, settings.held_out_pairs, generator(seed, "active", "held-out")
    )
    taken, rng = PairSet(outcomes, held_out), generator(seed, "active", "selection")
    ring = random_regular_pairs(outcomes, 2, rng)
    chosen = ring[taken.lacks(ring)][: budget.pairs]
    asked, cells, rounds, fitted = [], [], [], None
    total, stopped = 0, None
    while stopped is None:
        taken.add(chosen)
        asked.append(chosen)
        cells.append(await ask(chosen))
        total += len(chosen)
        fitted = fitter(ComparisonCounts.join(cells), outcomes, fitted)
        rounds.append(Round(total, predicted_kendall(fitted.mu, fitted.sd, rng), fitted.converged))
        if on_round is not None:
            on_round(rounds[-1])
        choose = selector(settings.selection)
        chosen = choose(fitted.mu, fitted.sd, min(budget.batch, budget.pairs - total), taken, rng)
        stopped = _stop(rounds[-1], settings, budget, len(chosen))
    assert fitted is not None
    checked = await ask(held_out) if len(held_out) else None
    return Exploration(
        np.concatenate(asked),
        ComparisonCounts.join(cells),
        held_out,
        checked,
        fitted,
        tuple(rounds),
        stopped,
    )


def _stop(
    last: Round, settings: ActiveSettings, budget: _Budget, left: int
) -> Literal["precise", "budget", "exhausted"] | None:
    if last.predicted >= settings.stop_kendall:
        return "precise"
    if last.pairs >= budget.pairs:
        return "budget"
    return None if left else "exhausted"


def uniform(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Pairs drawn at random regardless of the fit: the control for the other two."""
    k = len(mu)
    possible = k * (k - 1) // 2
    wanted = min(count, possible - len(taken))
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < wanted:
        free = 1 - len(taken) / possible
        pool = random_pairs(k, min(possible, int(1.2 * wanted / free) + 8), rng)
        found = pool[taken.lacks(pool)]
    return found[rng.permutation(len(found))[:wanted]]


Selector = Callable[[FloatArray, FloatArray, int, PairSet, np.random.Generator], IntArray]

SELECTORS: dict[str, Selector] = {"swiss": swiss, "thompson": thompson, "random": uniform}


def selector(name: str) -> Selector:
    """The rule called `name`; ConfigError if there is none."""
    try:
        return SELECTORS[name]
    except KeyError:
        known = ", ".join(SELECTORS)
        raise ConfigError(f"unknown selection {name!r}; use one of {known}") from None
