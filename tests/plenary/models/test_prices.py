"""Prices are known or unknown, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from plenary.errors import ConfigError
from plenary.models.prices import HERE, Price, price_of, read_prices
from plenary.outcomes import configs_folder

MINE = Price(prompt=2.0, completion=8.0)


def test_tokens_by_the_million() -> None:
    assert MINE.of(500_000, 250_000) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("spec", "url", "price"),
    [
        ("local:/x", None, HERE),
        ("planted:/x", None, HERE),
        ("langchain:openai:m", None, MINE),
        ("langchain:openai:other", None, None),
        ("langchain:openai:m", "http://localhost:1/v1", None),
        ("langchain:openai:own", "http://localhost:1/v1", MINE),
    ],
)
def test_a_price_is_of_a_model_at_an_address(
    spec: str, url: str | None, price: Price | None
) -> None:
    table = {"openai:m": MINE, "openai:own@http://localhost:1/v1": MINE}
    assert price_of(spec, table, url) == price


def test_the_table_that_ships_is_read() -> None:
    table = read_prices(configs_folder() / "models" / "prices.yaml")
    assert all(0 < price.prompt <= price.completion for price in table.values())
    assert all(name.count(":") == 1 for name in table)


@pytest.mark.parametrize("text", ["a: 3", "a: {prompt: -1, completion: 2}", "- x", "a: ["])
def test_anything_else_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"prices .*; fix the file"):
        read_prices(path)
