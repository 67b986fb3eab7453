"""The interface to language models: `generate`, `choose`, and the key of a call."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from plenary.errors import BackendError
from plenary.models.reply_text import CUT


class Message(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = tuple[Message, ...]


class _Drawn(tuple[Message, ...]):
    """A conversation that names its draw; any backend may treat it like a plain one."""

    draw: str


def drawn(conversation: Conversation, draw: str) -> Conversation:
    """The conversation with the name of the draw it asks for.

    If answers are sampled, each draw belongs to one citizen: two citizens with exactly the same
    prompt name different draws, so that each gets an answer of their own. "" is the draw of a
    conversation that names none.
    """
    if not draw:
        return conversation
    named = _Drawn(conversation)
    named.draw = draw
    return named


def draw_of(conversation: Conversation) -> str:
    """The draw that a conversation names; "" for none."""
    return getattr(conversation, "draw", "")


def copies(texts: Iterable[Hashable]) -> list[str]:
    """The draw of each text: "" for the first of its kind, then "1", "2", ... for its copies."""
    seen: Counter[Hashable] = Counter()
    draws = []
    for text in texts:
        draws.append(str(seen[text] or ""))
        seen[text] += 1
    return draws


@dataclass(frozen=True, slots=True)
class Sampling:
    """How free text is sampled. `sample` distinguishes repeated draws of one prompt in caches."""

    temperature: float = 1.0
    max_tokens: int = 64
    seed: int = 0
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """Free text, or None and the reason (refused, failed, timed out)."""

    text: str | None
    failure: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def cut(self) -> int:
        """1 if the reply was cut off during reasoning, else 0."""
        return int((self.failure or "").startswith(CUT))


@dataclass(frozen=True, slots=True)
class Choice:
    """Answer to a forced choice between labels.

    shares [labels]: probability of each label among valid answers; () when none was valid.
    mass: total probability of the labels before normalising, None where the backend only samples.
    asked, valid: answers asked for, and answers that named exactly one label (1 and 1 for exact
    probabilities). cut: invalid answers that were cut off before they named a label.
    """

    shares: tuple[float, ...]
    mass: float | None
    asked: int
    valid: int
    failure: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: int = 0

    @property
    def invalid(self) -> int:
        """Answers that were refused, failed or could not be read."""
        return self.asked - self.valid


def no_choice(asked: int, failure: str) -> Choice:
    """A choice in which every answer is invalid, with the reason."""
    return Choice((), None, asked, 0, failure, cut=asked * failure.startswith(CUT))


@runtime_checkable
class ChatBackend(Protocol):
    """A language model. Answers are in the order of the conversations; none is ever invented.

    name: identity used in cache keys (model id and revision or content hash, and the adapter).
    supports_seed: `Sampling.seed` makes generation repeatable.
    exact_choice: `choose` reads exact label probabilities (one pass), so `samples` is ignored.
    """

    name: str
    supports_seed: bool
    exact_choice: bool

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One free-text reply per conversation."""
        ...

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """One forced choice among `labels` per conversation."""
        ...


def call_key(backend: str, method: str, conversation: Conversation, **parameters: object) -> str:
    """Hash of one model call, including its draw (blake2b-128 of canonical JSON)."""
    payload: list[object] = [backend, method, [list(m) for m in conversation], parameters]
    if draw := draw_of(conversation):
        payload.append(draw)
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def check_replies(backend: str, asked: int, received: int) -> None:
    """Raise BackendError unless a backend answered every conversation exactly once."""
    if asked != received:
        raise BackendError(
            f"backend {backend!r} gave {received} answers to {asked} prompts; report this as a bug"
        )
