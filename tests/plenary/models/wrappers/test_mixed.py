"""A panel played by several models."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.errors import ConfigError
from plenary.models.base import Conversation, Message, Sampling
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.models.wrappers.mixed import MixedBackend, shares_of_models

FIRST = "trees grow"
SECOND = "taxes rise"


def world(gap: float) -> PlantedBackend:
    return PlantedBackend(PlantedWorld(utilities={FIRST: gap, SECOND: 0.0}))


def ask(citizen: str) -> Conversation:
    text = f"Which?\nOption A: {FIRST}\nOption B: {SECOND}"
    return (Message("system", citizen), Message("user", text))


def test_every_citizen_is_answered_by_the_model_that_plays_him() -> None:
    models = {"for": world(3.0), "against": world(-3.0)}
    cast = {"ann": "for", "bob": "against", "cid": "for"}
    mixed = MixedBackend(models, cast)
    asked = [ask(name) for name in ("bob", "ann", "cid", "bob")]
    found = [c.shares for c in asyncio.run(mixed.choose(asked, ("A", "B")))]
    alone = {
        name: asyncio.run(models[model].choose([ask(name)], ("A", "B")))[0].shares
        for name, model in cast.items()
    }
    assert found == [alone["bob"], alone["ann"], alone["cid"], alone["bob"]]
    assert found[0][0] < 0.5 < found[1][0]
    replies = asyncio.run(mixed.generate(asked, Sampling(seed=1)))
    assert replies[0] == asyncio.run(models["against"].generate([asked[0]], Sampling(seed=1)))[0]


def test_what_is_nobodys_goes_to_the_chair() -> None:
    models = {"for": world(3.0), "against": world(-3.0)}
    mixed = MixedBackend(models, {"ann": "for"}, chair="against")
    bare = ask("ann")[1:]
    found = asyncio.run(mixed.choose([ask("ann"), ask("a moderator"), bare], ("A", "B")))
    assert [choice.shares[0] > 0.5 for choice in found] == [True, False, False]
    with pytest.raises(ConfigError, match="which is not open"):
        MixedBackend(models, {"ann": "for"}, chair="other")


def test_the_name_holds_the_models_and_the_cast() -> None:
    models = {"a": world(1.0), "b": world(2.0)}
    names = {
        MixedBackend(models, {"ann": "a", "bob": "b"}).name,
        MixedBackend(models, {"ann": "b", "bob": "a"}).name,
        MixedBackend({"a": world(1.0), "b": world(2.5)}, {"ann": "a", "bob": "b"}).name,
    }
    assert len(names) == 3
    assert MixedBackend(models, {"ann": "a", "bob": "b"}).name in names


def test_nobody_is_answered_by_a_model_of_his_own_choosing() -> None:
    mixed = MixedBackend({"a": world(1.0)}, {"ann": "a"})
    with pytest.raises(ConfigError, match="no model plays the citizen of 'eve'"):
        asyncio.run(mixed.choose([ask("eve")], ("A", "B")))
    with pytest.raises(ConfigError, match="played by 'b'"):
        MixedBackend({"a": world(1.0)}, {"ann": "b"})


@given(
    st.integers(1, 400),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=1),
    st.integers(0, 99),
)
def test_shares_are_met_to_the_citizen(citizens: int, shares: dict[str, float], seed: int) -> None:
    cast = shares_of_models(citizens, shares, seed)
    assert len(cast) == citizens
    seats, total = Counter(cast), sum(shares.values())
    for name, share in shares.items():
        assert abs(seats[name] - citizens * share / total) < 1 + 1e-9
    assert cast == shares_of_models(citizens, shares, seed)


@pytest.mark.parametrize("shares", [{}, {"a": 0.0}, {"a": 1.0, "b": float("nan")}])
def test_bad_shares_are_errors(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="give each a positive number"):
        shares_of_models(10, shares, 0)
