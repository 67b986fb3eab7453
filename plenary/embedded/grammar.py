"""The sentence grammar: topics, frames and word lists that generate outcomes with known attributes.

A frame is a template with slots. A slot's filler may carry a number, which multiplies the frame's
values, or a vector, which is added. About 15 % of the wordings are held out of training.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, NamedTuple

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from plenary.embedded.values import DIMENSIONS
from plenary.preferences import FloatArray

HELD_OUT_SHARE = 0.15
Weighting = float | dict[str, float] | None


class SentenceFrame(BaseModel):
    """A sentence template of one topic, as written in the topic's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="name of the frame, unique in its topic")
    text: str = Field(description="template with {slot} places")
    values: dict[str, float] = Field(description="base attributes by dimension")
    slots: dict[str, list[str] | dict[str, str | float | dict[str, float]]] = Field(
        description="fillers: words, words with a multiplier or added values, or {list: name}"
    )
    ladder: str | None = Field(None, description="name of the numeric ladder the numbers climb")
    direction: Literal["left", "right"] | None = Field(
        None, description="politics of the policy if adopted"
    )


class HandRated(BaseModel):
    """A sentence the frames cannot make, with attributes rated by hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(description="the sentence")
    values: dict[str, float] = Field(description="rated attributes by dimension")


class Topic(BaseModel):
    """One topic of the grammar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str = Field(description="identifier, equal to the file's name")
    title: str = Field(description="heading shown to readers")
    noun: str = Field(description="completes 'which option is about ...'")
    frames: tuple[SentenceFrame, ...] = Field(description="sentence templates")
    hand_rated: tuple[HandRated, ...] = Field(description="sentences outside the grammar")


class Sentence(NamedTuple):
    """A generated outcome: its text, origin, attributes [D], and whether it is held out."""

    text: str
    topic: str
    frame: str
    fillers: tuple[str, ...]
    attributes: FloatArray
    held_out: bool


class Slot(NamedTuple):
    """Fillers with their weightings; `minor` slots (numbers, places) do not define a wording."""

    name: str
    fillers: tuple[str, ...]
    weightings: tuple[Weighting, ...]
    minor: bool


def vector(values: dict[str, float]) -> FloatArray:
    """Attributes [D] from a mapping by dimension name."""
    return np.array([values.get(name, 0.0) for name in DIMENSIONS])


def _folder() -> Traversable:
    return resources.files("plenary.embedded") / "grammar"


@cache
def shared_lists() -> dict[str, list[str] | dict[str, float]]:
    """Word lists that frames refer to as {list: name}."""
    return yaml.safe_load((_folder() / "lists.yaml").read_text(encoding="utf-8"))


@cache
def topics() -> dict[str, Topic]:
    """Every topic by name, sorted."""
    files = sorted(
        f.name for f in _folder().iterdir() if f.name.endswith(".yaml") and f.name != "lists.yaml"
    )
    loaded = (
        Topic.model_validate(yaml.safe_load((_folder() / f).read_text(encoding="utf-8")))
        for f in files
    )
    return {topic.topic: topic for topic in loaded}


def _slot(name: str, given: list[str] | dict[str, str | float | dict[str, float]]) -> Slot:
    shared = isinstance(given, dict) and list(given) == ["list"]
    words = shared_lists()[str(given["list"])] if isinstance(given, dict) and shared else given
    if isinstance(words, list):
        return Slot(name, tuple(map(str, words)), (None,) * len(words), shared)
    return Slot(name, tuple(map(str, words)), tuple(words.values()), shared)  # type: ignore[arg-type]


class Pattern(NamedTuple):
    """A frame ready for use: its topic, and its slots in the order of the template."""

    topic: str
    frame: SentenceFrame
    slots: tuple[Slot, ...]


@cache
def patterns(topic: str) -> tuple[Pattern, ...]:
    """The frames of a topic with their slots."""
    result = []
    for frame in topics()[topic].frames:
        names = dict.fromkeys(re.findall(r"{(\w+)}", frame.text))
        result.append(
            Pattern(topic, frame, tuple(_slot(name, frame.slots[name]) for name in names))
        )
    return tuple(result)


def _held_out(topic: str, frame: str, wording: tuple[str, ...]) -> bool:
    digest = hashlib.blake2b("|".join((topic, frame, *wording)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64 < HELD_OUT_SHARE


def sentence_case(text: str) -> str:
    """First letter upper case."""
    return text[:1].upper() + text[1:]


def make_sentence(pattern: Pattern, picks: tuple[int, ...]) -> Sentence:
    """The sentence with the given filler of every slot."""
    topic, frame = pattern.topic, pattern.frame
    factor, added = 1.0, np.zeros(len(DIMENSIONS))
    fillers, wording = [], []
    for slot, pick in zip(pattern.slots, picks, strict=True):
        weighting = slot.weightings[pick]
        fillers.append(slot.fillers[pick])
        if not slot.minor:
            wording.append(slot.fillers[pick])
        if isinstance(weighting, dict):
            added = added + vector(weighting)
        elif weighting is not None:
            factor *= float(weighting)
    names = (slot.name for slot in pattern.slots)
    text = sentence_case(frame.text.format(**dict(zip(names, fillers, strict=True))))
    attributes = vector(frame.values) * factor + added
    held_out = _held_out(topic, frame.id, tuple(wording))
    return Sentence(text, topic, frame.id, tuple(fillers), attributes, held_out)


def draw_sentence(
    rng: np.random.Generator, *, held_out: bool, topic: str | None = None
) -> Sentence:
    """Random trained or held-out sentence; topics and frames are equally likely."""
    names = list(topics())
    chosen = patterns(topic or names[rng.integers(len(names))])
    while True:
        pattern = chosen[rng.integers(len(chosen))]
        sentence = make_sentence(
            pattern, tuple(int(rng.integers(len(s.fillers))) for s in pattern.slots)
        )
        if sentence.held_out == held_out:
            return sentence


def sentences(pattern: Pattern) -> Iterator[Sentence]:
    """Every sentence of a frame."""
    for picks in itertools.product(*(range(len(s.fillers)) for s in pattern.slots)):
        yield make_sentence(pattern, picks)


@cache
def _expressions() -> tuple[tuple[Pattern, re.Pattern[str]], ...]:
    result = []
    for pattern in (p for name in topics() for p in patterns(name)):
        expression = re.escape(pattern.frame.text)
        for slot in pattern.slots:
            options = "|".join(re.escape(f) for f in sorted(slot.fillers, key=len, reverse=True))
            expression = expression.replace(
                re.escape("{" + slot.name + "}"), f"(?P<{slot.name}>{options})", 1
            )
        result.append((pattern, re.compile(expression, re.IGNORECASE)))
    return tuple(result)


def read(text: str) -> Sentence | None:
    """The grammar's reading of a sentence, or None when no frame makes it."""
    for pattern, expression in _expressions():
        match = expression.fullmatch(text)
        if match:
            folded = ([f.casefold() for f in slot.fillers] for slot in pattern.slots)
            picks = (
                f.index(match[s.name].casefold())
                for f, s in zip(folded, pattern.slots, strict=True)
            )
            return make_sentence(pattern, tuple(picks))
    return None
