"""Token prices of models; a price that is unknown is never taken for zero."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, RootModel

from plenary.errors import ConfigError
from plenary.untrusted import read_file


class Price(BaseModel):
    """Price per million tokens, in the currency of the budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0, description="price of a million prompt tokens")
    completion: float = Field(ge=0, description="price of a million completion tokens")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price of these tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


HERE = Price(prompt=0, completion=0)


class _Table(RootModel[dict[str, Price]]):
    """PROVIDER:MODEL -> price."""


def read_prices(path: Path) -> dict[str, Price]:
    """A price table, PROVIDER:MODEL -> price; ConfigError for any other file."""
    return read_file(_Table, path, "prices", ConfigError).root


def price_of(spec: str, prices: Mapping[str, Price], base_url: str | None) -> Price | None:
    """Price of a backend spec's tokens; None if unknown.

    Local models cost nothing. A server at a base_url may charge any price, so only a price given
    for its address (PROVIDER:MODEL@ADDRESS) counts.
    """
    prefix, _, model = spec.partition(":")
    if prefix != "langchain":
        return HERE
    return prices.get(f"{model}@{base_url}" if base_url else model)
