from dataclasses import replace

import numpy as np
import pytest
from support.traits import read_traits

from plenary.embedded import citizens
from plenary.embedded.values import Traits


@pytest.mark.parametrize(
    "render", [citizens.second_person, citizens.first_person, citizens.facts_list]
)
@pytest.mark.parametrize("held_out", [True, False])
def test_traits_are_read_back_from_every_rendering(render, held_out):
    rng = np.random.default_rng(1)
    titles = citizens.occupations()
    for _ in range(200):
        citizen = citizens.draw_citizen(rng, held_out=held_out, titles=titles)
        assert citizens.is_held_out(citizen) == held_out
        wanted = citizens.traits(citizen)
        if wanted.race is not None:
            wanted = replace(wanted, race=wanted.race.casefold())
        assert read_traits(render(citizen)) == wanted


def test_silent_fields_stay_unknown():
    traits = read_traits("You live in a rural area.")
    assert traits == Traits()
