import numpy as np
import pytest

from assembly.analysis.variance_components import COMPONENTS, components, variance_components
from plenary.errors import DataError

SHAPE = (30, 3, 3, 2)  # citizens, wordings, discussions, orders
PLANTED = {
    "citizen": 0.20, "wording": 0.05, "discussion": 0.07, "order": 0.04,
    "citizen x wording": 0.06, "citizen x order": 0.08, "noise": 0.10,
}  # fmt: skip


def planted(rng, pairs=150, shape=SHAPE, samples=3, sd=PLANTED):
    """Answers [P, C, W, D, O, S] made of independent parts of known sd."""
    c, w, d, o = shape

    def part(name, *sizes):
        return rng.normal(0, 1, sizes) * sd[name] if sd[name] else np.zeros(sizes)

    return (
        part("citizen", pairs, c, 1, 1, 1, 1)
        + part("wording", pairs, 1, w, 1, 1, 1)
        + part("discussion", pairs, 1, 1, d, 1, 1)
        + part("order", pairs, 1, 1, 1, o, 1)
        + part("citizen x wording", pairs, c, w, 1, 1, 1)
        + part("citizen x order", pairs, c, 1, 1, o, 1)
        + part("noise", pairs, c, w, d, o, samples)
    )


def truth(shape=SHAPE, samples=3):
    c, w, d, o = shape
    v = {name: sd**2 for name, sd in PLANTED.items()}
    parts = {
        "panel draw": v["citizen"] / c,
        "persona wording": v["wording"] / w + v["citizen x wording"] / (c * w),
        "discussion": v["discussion"] / d,
        "order": v["order"] / o + v["citizen x order"] / (c * o),
        "sampling": v["noise"] / (c * w * d * o * samples),
        "interactions": 0.0,
    }
    return {name: part / sum(parts.values()) for name, part in parts.items()}, sum(parts.values())


def pairs_of(count):
    return np.arange(2 * count).reshape(count, 2)


def test_planted_components_are_recovered() -> None:
    rng = np.random.default_rng(0)
    found = variance_components(planted(rng, 400), pairs_of(400), exact=False)
    shares, total = truth()
    assert found.total == pytest.approx(total, rel=0.1)
    measured = [part for part in found.parts if part.measured]
    assert {part.source for part in measured} == set(shares)
    for part in measured:
        assert part.share == pytest.approx(shares[part.source], abs=0.04)
    assert sum(part.share for part in measured) == pytest.approx(1)


@pytest.mark.exhaustive
def test_intervals_cover() -> None:
    small = (10, 3, 3, 2)
    rng, shares = np.random.default_rng(1), truth(small, 2)[0]
    hits = []
    for _ in range(30):
        found = variance_components(planted(rng, 60, small, 2), pairs_of(60), exact=False)
        hits += [p.low <= shares[p.source] <= p.high for p in found.parts if shares.get(p.source)]
    assert 0.85 <= np.mean(hits) <= 0.985


def test_pairs_that_share_outcomes_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    divided = rng.choice([0.0, 0.6], 20).repeat(3).reshape(60, 1, 1, 1, 1, 1)
    y = planted(rng, 60) + divided * rng.normal(0, 1, (60, 30, 1, 1, 1, 1))
    star = np.stack([np.arange(20).repeat(3), 20 + np.arange(60)], axis=1)
    alone = variance_components(y, pairs_of(60), exact=False).of("panel draw")
    known = variance_components(y, star, exact=False).of("panel draw")
    assert known.share == alone.share
    assert known.high - known.low > 1.1 * (alone.high - alone.low)


def test_what_the_design_did_not_vary_is_not_measured() -> None:
    rng = np.random.default_rng(2)
    y = planted(rng, shape=(30, 1, 1, 2), samples=1)
    found = variance_components(y, pairs_of(150), exact=False)
    missing = {p.source for p in found.parts if not p.measured}
    assert missing == {"persona wording", "discussion", "sampling", "models", "interactions"}
    assert all(np.isnan(p.low) and np.isnan(p.share) for p in found.parts if not p.measured)
    exact = variance_components(y, pairs_of(150), exact=True)
    assert (exact.of("sampling").variance, exact.of("sampling").measured) == (0, True)
    assert exact.of("order").variance == found.of("order").variance


def test_citizens_with_missing_ballots_are_left_out_of_that_pair_alone() -> None:
    rng = np.random.default_rng(3)
    y = planted(rng, 300)
    y[::2, :10, 0, 0, 0, 0] = np.nan
    y[0, :29, 0, 0, 0, 0] = np.nan
    found = variance_components(y, pairs_of(300), exact=False)
    assert found.pairs == 299
    assert found.of("panel draw").share == pytest.approx(truth()[0]["panel draw"], abs=0.05)
    with pytest.raises(DataError, match="have two citizens with every ballot"):
        variance_components(np.full((4, 3, 1, 1, 2, 1), np.nan), pairs_of(4), exact=True)
    with pytest.raises(DataError, match=r"give \[P, C, W, D, O, S\]"):
        variance_components(np.ones((4, 3, 2)), pairs_of(4), exact=True)


def test_a_larger_panel_shrinks_the_draw_alone() -> None:
    rng = np.random.default_rng(4)
    y = planted(rng)
    whole = variance_components(y, pairs_of(150), exact=False)
    third = variance_components(y, pairs_of(150), exact=False, effective_n=10)
    ratio = third.of("panel draw").variance / whole.of("panel draw").variance
    assert ratio == pytest.approx(3)
    assert third.of("discussion").variance == pytest.approx(
        whole.of("discussion").variance, rel=0.05
    )


def test_what_is_known_from_beside_joins_the_shares_with_its_own_uncertainty() -> None:
    """A source told on a tenth of the pairs has the same share and a wider interval."""
    rng = np.random.default_rng(7)
    y = planted(rng, shape=(30, 1, 1, 2), samples=1)
    told = rng.gamma(2.0, 0.002, 150)
    some = np.where(np.arange(150) % 10 == 0, told, np.nan)
    every = variance_components(y, pairs_of(150), exact=True, beside={"discussion": told})
    tenth = variance_components(y, pairs_of(150), exact=True, beside={"discussion": some})
    one, other = every.of("discussion"), tenth.of("discussion")
    assert one.variance == pytest.approx(told.mean())
    assert other.variance == pytest.approx(np.nanmean(some))
    assert other.high - other.low > 1.5 * (one.high - one.low)
    assert sum(p.share for p in every.parts if p.measured) == pytest.approx(1)
    less = variance_components(
        y, pairs_of(150), exact=True, beside={"panel draw": np.full(150, -1e-4)}
    )
    plain = variance_components(y, pairs_of(150), exact=True)
    drop = plain.of("panel draw").variance - less.of("panel draw").variance
    assert drop == pytest.approx(1e-4)


def test_components_of_a_table_worked_by_hand() -> None:
    """Two citizens x two orders: 1 3 / 5 9. Mean squares 25, 9, 1; interaction 1.

    citizen (25 - 1) / 2 = 12, order (9 - 1) / 2 = 4.
    """
    table = np.array([[1.0, 3.0], [5.0, 9.0]]).reshape(2, 1, 1, 2)
    found = components(table, 0.0)
    assert found == pytest.approx({(0, 3): 1.0, (0,): 12.0, (3,): 4.0})


def test_every_source_has_its_row() -> None:
    rng = np.random.default_rng(5)
    found = variance_components(planted(rng, 20), pairs_of(20), exact=False)
    assert tuple(part.source for part in found.parts) == COMPONENTS
