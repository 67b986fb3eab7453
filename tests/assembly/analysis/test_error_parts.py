"""What one run knows of discussions, models and wordings: planted variances are recovered."""

from __future__ import annotations

import numpy as np
import pytest

from assembly.analysis.variance_components import between_groups, between_wordings

CITIZENS, PAIRS = 60, 400
HALLS = np.arange(CITIZENS) // 6


def citizens(rng, sd=0.15):
    return 0.5 + rng.normal(0, sd, (CITIZENS, PAIRS))


def test_what_groups_have_in_common_is_the_discussions_part() -> None:
    """Ten groups each off by .1 move the panel's share by .1 / sqrt(10)."""
    rng = np.random.default_rng(0)
    plain = citizens(rng)
    talked = plain + rng.normal(0, 0.1, (10, PAIRS))[HALLS]
    assert between_groups(talked, HALLS, CITIZENS).own.mean() == pytest.approx(0.001, rel=0.1)
    assert abs(between_groups(plain, HALLS, CITIZENS).own.mean()) < 1e-4
    talked[rng.uniform(size=talked.shape) < 0.2] = np.nan
    assert between_groups(talked, HALLS, CITIZENS).own.mean() == pytest.approx(0.001, rel=0.15)


@pytest.mark.parametrize("shares", [(30, 30), (40, 20), (20, 20, 20)])
def test_what_models_differ_by_is_recovered_and_taken_off_the_citizens(shares) -> None:
    rng = np.random.default_rng(1)
    models = np.repeat(np.arange(len(shares)), shares)
    own = rng.normal(0, 0.08, (len(shares), PAIRS))
    y = citizens(rng) + own[models]
    found = between_groups(y, models, CITIZENS)
    played = sum((n / CITIZENS) ** 2 for n in shares)
    assert found.own.mean() == pytest.approx(0.08**2 * played, rel=0.2)
    spread = y.var(axis=0, ddof=1).mean() / CITIZENS
    assert spread - found.in_draw.mean() == pytest.approx(0.15**2 / CITIZENS, rel=0.05)


def test_models_that_answer_alike_add_nothing() -> None:
    rng = np.random.default_rng(2)
    models = rng.integers(0, 2, CITIZENS)
    found = between_groups(citizens(rng), models, CITIZENS)
    assert abs(found.own.mean()) < 3e-4
    y = citizens(rng)
    y[models == 0, 0] = np.nan
    alone = between_groups(y, models, CITIZENS)
    assert np.isnan(alone.own[0])
    assert np.isfinite(alone.own[1:]).all()


def test_wordings_add_what_all_citizens_make_of_them() -> None:
    rng = np.random.default_rng(3)
    shape = (4, 6, 200, 2)
    own = rng.normal(0, 0.2, (1, 6, 200, 1)) + rng.normal(0, 0.03, shape)
    y = 0.5 + own + rng.normal(0, 0.06, (4, 1, 200, 1))
    assert between_wordings(y).mean() == pytest.approx(0.06**2, rel=0.15)
    assert abs(between_wordings(0.5 + own).mean()) < 2e-4
    y[:, :5, 0] = np.nan
    y[0, :, 1] = np.nan
    found = between_wordings(y)
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2:]).all()
