import numpy as np
import pytest

from plenary.embedded.values import (
    ARGUMENT_LIMIT,
    CITIZEN_WEIGHTS,
    DIMENSIONS,
    SPREAD,
    Traits,
    argument_shift,
    choice_probability,
    citizen_weights,
    effects,
    income_rank,
)


def test_a_citizen_without_traits_is_the_average_citizen():
    np.testing.assert_allclose(citizen_weights(Traits()), CITIZEN_WEIGHTS)


def test_effect_of_a_trait_is_its_coefficient_times_the_spread():
    woman, man = citizen_weights(Traits(sex="woman")), citizen_weights(Traits(sex="man"))
    table = effects(with_ideology=False)
    column = table.coefficients[:, table.terms.index("female")]
    np.testing.assert_allclose(woman - man, SPREAD * column)


def test_measured_effects_point_as_in_the_survey():
    young, old = citizen_weights(Traits(age=20)), citizen_weights(Traits(age=80))
    tradition, environment = DIMENSIONS.index("tradition"), DIMENSIONS.index("environment")
    assert old[tradition] > young[tradition]
    assert young[environment] > old[environment]
    left, right = citizen_weights(Traits(ideology=1)), citizen_weights(Traits(ideology=7))
    assert left[DIMENSIONS.index("equality")] > right[DIMENSIONS.index("equality")]


def test_choice_is_symmetric_and_even_at_no_gap():
    assert choice_probability(0.0) == pytest.approx(0.5)
    assert choice_probability(0.7) + choice_probability(-0.7) == pytest.approx(1.0)


def test_arguments_add_up_to_a_limit():
    assert argument_shift([]) == 0
    assert argument_shift([1, -1]) == 0
    assert argument_shift([1]) == -argument_shift([-1]) > 0
    assert argument_shift([1] * 9) == ARGUMENT_LIMIT


def test_income_rank_rises_through_the_middle():
    assert income_rank(82_000) == pytest.approx(0.5)
    assert 0 < income_rank(0) < income_rank(40_000) < 0.5 < income_rank(200_000) < 1
