from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from alignment.experiments.control_table import ControlTable, control_table, similarity
from alignment.experiments.dose import half_gain, rebound
from alignment.experiments.estimates import agreement_scores
from alignment.experiments.experiment import ControlResult, move
from evaluation.comparison.compare import ComparisonSettings, compare, target_cells
from plenary.errors import DataError
from plenary.preferences import Targets
from plenary.seeding import generator

SETTINGS = ComparisonSettings(bootstrap=500)
Cell = Callable[..., ControlResult]


@pytest.fixture(scope="module")
def held_out() -> Targets:
    rng = generator(5, "held out")
    utility = rng.standard_normal(24)
    pairs = np.array([(a, b) for a in range(24) for b in range(a) if (a + b) % 3])
    p = 1 / (1 + np.exp(-2 * (utility[pairs[:, 0]] - utility[pairs[:, 1]])))
    return Targets(pairs, p, np.full(len(p), 30.0))


@pytest.fixture(scope="module")
def base(held_out: Targets) -> np.ndarray:
    """Right on about two pairs of three."""
    wrong = generator(6, "base").random(len(held_out.p)) < 0.35
    return np.where(wrong, 1 - held_out.p, held_out.p)


@pytest.fixture(scope="module")
def cell(held_out: Targets, base: np.ndarray) -> Cell:
    def make(arm: str, seed: int, after: np.ndarray, **changes: object) -> ControlResult:
        cells = [target_cells(Targets(held_out.pairs, p, np.ones(len(p)))) for p in (base, after)]
        comparison = compare(cells[0], cells[1], held_out, None, SETTINGS, seed)
        moved = move(base, after, held_out.p)
        fields: dict[str, object] = {
            "arm": arm, "seed": seed, "comparison": comparison, "directional_gain": moved.gain,
            "side_effect": moved.side_effect, "wordings": {},
            "incoherence_before": 0.1, "incoherence": 0.15, "drift_held_out": 0.2,
            "drift_untouched": None, "retention": None, "steps": 10, "rows": 100,
            "parameters": 5, "seconds": 1.0, "before": tuple(base), "after": tuple(after),
        } | changes  # fmt: skip
        return ControlResult.model_validate(fields)

    return make


def noisy(target: Targets, wrong: float, seed: int) -> np.ndarray:
    flipped = generator(seed, "noisy").random(len(target.p)) < wrong
    return np.where(flipped, 1 - target.p, target.p)


@pytest.fixture(scope="module")
def table(held_out: Targets, base: np.ndarray, cell: Cell) -> ControlTable:
    results = [cell("assembly", s, noisy(held_out, 0.05, s)) for s in range(5)]
    results += [cell("shuffled", s, noisy(held_out, 0.5, 50 + s)) for s in range(5)]
    results += [cell("format_only", s, base) for s in range(5)]
    return control_table(results, held_out, 0.96, SETTINGS, 0)


def test_the_planted_arm_is_above_zero_and_every_control(table: ControlTable) -> None:
    assert table.row("assembly").gain.low > 0
    assert table.row("assembly").behind is None
    for name in ("shuffled", "format_only"):
        behind = table.row(name).behind
        assert behind is not None
        assert behind.low > 0
    assert table.row("shuffled").gain.low < 0


def test_an_arm_that_does_nothing_gains_exactly_nothing(table: ControlTable) -> None:
    row = table.row("format_only")
    assert (row.gain.value, row.gain.low, row.gain.high) == (0, 0, 0)
    assert row.agreement.value == pytest.approx(table.agreement_before)
    assert row.behind is not None
    assert row.behind.value == pytest.approx(table.row("assembly").gain.value)


def test_figures_are_means_over_seeds(table: ControlTable, held_out: Targets, base) -> None:
    row = table.row("assembly")
    scores = [agreement_scores(noisy(held_out, 0.05, s), held_out.p).mean() for s in range(5)]
    assert row.agreement.value == pytest.approx(np.mean(scores))
    assert row.gain.value == pytest.approx(
        np.mean(scores) - agreement_scores(base, held_out.p).mean()
    )
    assert row.of_ceiling == pytest.approx(np.mean(scores) / 0.96)
    assert row.incoherence == pytest.approx(0.05)
    assert row.bits is None


def test_kl_tells_apart_what_agreement_cannot(held_out: Targets, base, cell: Cell) -> None:
    """An arm with every majority right and shares pressed together; the lead by hand."""
    timid = 0.5 + 0.5 * (held_out.p - 0.5)
    results = [cell("assembly", s, held_out.p) for s in range(2)]
    results += [cell("pre_deliberation", s, timid) for s in range(2)]
    table = control_table(results, held_out, 0.96, SETTINGS, 0)
    row = table.row("pre_deliberation")
    assert row.behind is not None
    assert (row.behind.value, row.behind.low, row.behind.high) == (0, 0, 0)

    def kl(q: np.ndarray) -> float:
        p = held_out.p
        return float((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean())

    assert row.kl_behind is not None
    assert row.kl_behind.value == pytest.approx(kl(timid)) == pytest.approx(row.kl)
    assert 0 < row.kl_behind.low < row.kl_behind.value < row.kl_behind.high
    assert table.row("assembly").kl_behind is None
    assert table.kl_before == pytest.approx(kl(base))
    assert row.kl_gain.value == pytest.approx(kl(base) - kl(timid))


def test_similarity_of_a_target_by_hand() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    assembly = Targets(pairs, np.array([0.9, 0.5, 0.2, 0.6]), np.ones(4))
    same = similarity([assembly], assembly)
    assert (same.agreement, same.kl) == (1, 0)
    # One citizen without a ballot on the last pair, who differs on the third; the even pair has no
    # majority and counts in KL alone.
    other = Targets(pairs[:3], np.array([0.9, 0.5, 0.8]), np.ones(3))
    found = similarity([assembly, other], assembly)
    assert found.agreement == pytest.approx((1 + 1 / 2) / 2)
    assert found.kl == pytest.approx((0.2 * np.log(0.2 / 0.8) + 0.8 * np.log(0.8 / 0.2)) / 3 / 2)


def test_one_seed_is_no_certainty_and_seeds_widen(held_out: Targets, cell: Cell) -> None:
    same = [cell("assembly", s, noisy(held_out, 0.05, 0)) for s in range(4)]
    mixed = [cell("assembly", s, noisy(held_out, w, s)) for s, w in enumerate((0, 0.3, 0, 0.3))]
    widths = []
    for results in (same, mixed):
        gain = control_table(results, held_out, 1.0, SETTINGS, 0).row("assembly").gain
        widths.append(gain.high - gain.low)
    assert 0 < widths[0] < widths[1]


def test_missing_and_even_pairs_count_for_nobody(held_out: Targets, cell: Cell) -> None:
    p = held_out.p.copy()
    p[0] = 0.5
    after = noisy(held_out, 0.05, 0)
    holed = tuple(np.where(np.arange(len(after)) == 1, np.nan, after))
    whole = cell("assembly", 0, after)
    results = [whole, whole.model_copy(update={"arm": "random", "after": holed})]
    text = results[1].model_dump_json()
    assert np.isnan(ControlResult.model_validate_json(text).after[1])
    target = Targets(held_out.pairs, p, held_out.weight)
    assert control_table(results, target, 1.0, SETTINGS, 0).pairs == len(p) - 2


def test_cells_of_other_pairs_are_refused(held_out: Targets, cell: Cell) -> None:
    short = Targets(held_out.pairs[1:], held_out.p[1:], held_out.weight[1:])
    with pytest.raises(DataError, match="183 targets"):
        control_table([cell("assembly", 0, held_out.p)], short, 1.0, SETTINGS, 0)
    with pytest.raises(DataError, match="no cell"):
        control_table([], held_out, 1.0, SETTINGS, 0)


def test_half_gain_and_rebound(held_out: Targets, base: np.ndarray, cell: Cell) -> None:
    def at(share: float, steps: int, seed: int = 0) -> ControlResult:
        return cell(f"steps={steps}", seed, base + share * (held_out.p - base), steps=steps)

    curve = [at(0.25, 10), at(0.75, 1000), at(0.75, 1000, 1)]
    assert half_gain(curve, "steps") == pytest.approx(100)
    assert half_gain(curve[:1], "steps") is None
    assert rebound(curve[1], curve[0]) == pytest.approx(1 / 3)
    lost = curve[1].model_copy(update={"directional_gain": -0.1})
    assert rebound(lost, curve[0]) is None
