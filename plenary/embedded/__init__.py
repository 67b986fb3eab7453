"""The small model that ships with plenary, and the recipe that makes it.

It is a model organism for exercising and checking the method, and no evidence about large models.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import DataError


class TopicReading(BaseModel):
    """How well the model reads one topic: shares of decisive pairs answered on the right side."""

    model_config = ConfigDict(frozen=True)

    held_out: float = Field(description="on held-out wordings of the grammar")
    hand_rated: float = Field(description="on hand-rated sentences outside the grammar")
    readable: bool = Field(description="good enough to be asked about")


class Card(BaseModel):
    """The measured part of the card."""

    model_config = ConfigDict(frozen=True)

    parameters: int = Field(description="number of parameters, frozen word vectors included")
    figures: dict[str, float] = Field(description="abilities on held-out wordings and personas")
    topics: dict[str, TopicReading] = Field(description="reading by topic")


def model_path() -> Path:
    """Folder of the packaged checkpoint."""
    folder = Path(str(resources.files("plenary.embedded"))) / "weights"
    if not (folder / "model.safetensors").is_file():
        raise DataError(f"the embedded model is missing at {str(folder)!r}; reinstall plenary")
    return folder


@cache
def card() -> Card:
    """What the packaged model was measured to do."""
    return Card.model_validate(json.loads((model_path() / "card.json").read_text(encoding="utf-8")))


def unreadable_topics() -> frozenset[str]:
    """Topics of the default catalogue that the model reads too poorly to be asked about."""
    return frozenset(name for name, row in card().topics.items() if not row.readable)
