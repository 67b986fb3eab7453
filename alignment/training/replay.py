"""Replay text against forgetting: a user's file, or the model's own replies to neutral prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from plenary.errors import DataError
from plenary.models.base import ChatBackend, Conversation, Message, Sampling
from plenary.seeding import derived_seed
from plenary.untrusted import first_fault, read_json_lines, read_text

# Prompts for a model that writes its own replay text; none is in a retention set. Version 1.
PROMPTS = (
    "Describe a quiet street in the evening.",
    "Explain how a clock keeps time.",
    "What is the difference between weather and climate?",
    "Write a short story about a lost umbrella.",
    "List five things to pack for a weekend trip.",
    "How do I cook rice?",
    "Write a polite letter that asks for a catalogue.",
    "What does the word 'horizon' mean?",
    "Give three synonyms of 'quick'.",
    "Summarise how rain forms.",
    "What is 17 plus 26?",
    "Name the planets of the solar system.",
    "Describe the taste of a lemon.",
    "Write four lines of a poem about autumn.",
    "How does a refrigerator stay cold?",
    "Tell me about the history of paper.",
    "Explain to a child what a shadow is.",
    "Write a short dialogue between two neighbours about their gardens.",
    "How can I remember new words better?",
    "What is a prime number?",
    "Describe a painting of the sea.",
    "Write instructions for tying a shoe.",
    "What do bees do in winter?",
    "Explain the rules of a simple card game.",
    "Write a recipe for tomato soup.",
    "How is salt won from the sea?",
    "Describe your favourite kind of day.",
    "What does a librarian do?",
    "Write a product description of a wooden chair.",
    "How do I sharpen a pencil without a sharpener?",
    "Explain what an echo is.",
    "Write a diary entry of a day in the mountains.",
    "What are the parts of a flower?",
    "Translate 'good morning' into two other languages.",
    "Write a function that adds two numbers in Python.",
    "How far is it from the Earth to the Moon?",
    "Give a title for a book about old trains.",
    "Explain how to measure a room.",
    "Describe how a candle burns.",
    "What makes a good question?",
)
ROUNDS, TOKENS = 2, 64
ASK = "Write a short text."


class _Row(BaseModel):
    """One replay text, in one of three forms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: tuple[Message, ...] = Field(default=(), description="the conversation")
    prompt: str = Field(default=ASK, min_length=1, description="what the user says")
    completion: str | None = Field(default=None, min_length=1, description="the reply to it")
    text: str | None = Field(default=None, min_length=1, description="a text without a prompt")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [bool(self.messages), self.completion is not None, self.text is not None]
        if sum(forms) != 1:
            raise ValueError("give one of messages, prompt with completion, and text")
        turns = [m.role for m in self.messages if m.role != "system"]
        if self.messages and turns != [("user", "assistant")[k % 2] for k in range(len(turns))]:
            raise ValueError("user and assistant take turns, the user first")
        if self.messages and (not turns or not all(m.content.strip() for m in self.messages)):
            raise ValueError("each message has words, and one at least is the user's")
        return self

    @property
    def conversation(self) -> Conversation:
        reply = self.completion or self.text
        if reply is None:
            return self.messages
        return (Message("user", self.prompt), Message("assistant", reply))


class NeutralText(NamedTuple):
    """Conversations on which a model is held to its base, and their source in words."""

    conversations: Sequence[Conversation]
    origin: str


def read_replay(path: Path) -> NeutralText:
    """Texts of a JSONL file, one object each, or the lines of a text file; DataError for others.

    An object has `messages` (role and content), `prompt` and `completion`, or `text`. A text
    without a prompt is the reply to "Write a short text."
    """
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        rows = read_json_lines(path, "replay text", DataError)
    elif path.suffix.lower() in (".txt", ".text", ".md"):
        lines = re.split("\r\n|\n|\r", read_text(path, "replay text", DataError))
        rows = [(n, {"text": line.strip()}) for n, line in enumerate(lines, 1) if line.strip()]
    else:
        raise DataError(
            f"alignment.replay is {str(path)!r}; give a .jsonl file of conversations or a .txt "
            "file of one text per line"
        )
    found = [_conversation(path, number, row) for number, row in rows]
    if not found:
        raise DataError(
            f"replay text {str(path)!r} contains no text; fill the file or unset the setting"
        )
    return NeutralText(found, f"{len(found)} texts of the file {path.name!r}")


def _conversation(path: Path, number: int, row: object) -> Conversation:
    row = {"text": row} if isinstance(row, str) else row
    row = {"messages": row} if isinstance(row, list) else row
    if isinstance(row, dict) and isinstance(row.get("messages"), list):
        row = row | {"messages": [_message(message) for message in row["messages"]]}
    try:
        return _Row.model_validate(row).conversation
    except ValidationError as error:
        raise DataError(
            f"line {number} of replay text {path.name!r} {first_fault(error)}; fix the line"
        ) from error


def _message(message: object) -> object:
    if isinstance(message, dict) and set(message) == {"role", "content"}:
        return message["role"], message["content"]
    return message


def write_replay(texts: Sequence[Conversation], path: Path) -> None:
    """Write conversations as `read_replay` reads them."""
    rows = [{"messages": [message._asdict() for message in text]} for text in texts]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


async def sample_replay(model: ChatBackend, seed: int) -> NeutralText:
    """The model's replies to neutral prompts, `ROUNDS` times each; DataError if too few are usable.

    Drawn from its own distribution at temperature 1, so that divergence on this text measures a
    change in how the model speaks.
    """
    found: list[Conversation] = []
    failures: list[str] = []
    for turn in range(ROUNDS):
        sampling = Sampling(1.0, TOKENS, derived_seed(seed, "replay", turn), turn)
        asked = [(Message("user", prompt),) for prompt in PROMPTS]
        for prompt, reply in zip(asked, await model.generate(asked, sampling), strict=True):
            if reply.text and reply.text.strip():
                found.append((*prompt, Message("assistant", reply.text)))
            else:
                failures.append(reply.failure or "an empty reply")
    if 2 * len(found) < ROUNDS * len(PROMPTS):
        raise DataError(
            f"the model answered {len(found)} of {ROUNDS * len(PROMPTS)} neutral prompts (first "
            f"failure: {failures[0]!r}); give your own text as alignment.replay, or set "
            "alignment.replay_weight to 0"
        )
    return NeutralText(found, f"{len(found)} texts that the model itself wrote before training")
