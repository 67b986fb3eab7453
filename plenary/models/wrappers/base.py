"""Base of the wrappers around a backend: both methods of the interface handled alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling, call_key

Answer = TypeVar("Answer", Reply, Choice)
_LABEL_TOKENS = 8


class ModelRequest(Protocol[Answer]):
    """A method of the port with all its arguments but the conversations."""

    @property
    def kind(self) -> type[Answer]:
        """What it is answered with."""
        ...

    @property
    def draws(self) -> bool:
        """Whether a backend that samples draws the answer at random."""
        ...

    @property
    def longest(self) -> int:
        """Tokens that one answer may take."""
        ...

    def calls(self, backend: ChatBackend) -> int:
        """Answers asked of the backend for one conversation."""
        ...

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """Content addresses of its calls; what the backend leaves unused is no part of them."""
        ...

    async def of(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[Answer]:
        """Ask it of a backend."""
        ...


@dataclass(frozen=True, slots=True)
class Generate:
    """Free text."""

    sampling: Sampling

    @property
    def kind(self) -> type[Reply]:
        """Replies."""
        return Reply

    @property
    def draws(self) -> bool:
        """At any temperature above 0."""
        return self.sampling.temperature > 0

    @property
    def longest(self) -> int:
        """By sampling."""
        return self.sampling.max_tokens

    def calls(self, backend: ChatBackend) -> int:
        """One."""
        return 1

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """By sampling, and by draw where there is one."""
        asked = conversations if self.draws else map(tuple, conversations)
        sampling = asdict(self.sampling)
        return [call_key(backend.name, "generate", c, **sampling) for c in asked]

    async def of(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[Reply]:
        """Ask for replies."""
        return await backend.generate(conversations, self.sampling)


@dataclass(frozen=True, slots=True)
class Choose:
    """Forced choices."""

    labels: tuple[str, ...]
    samples: int
    seed: int

    @property
    def kind(self) -> type[Choice]:
        """Choices."""
        return Choice

    @property
    def draws(self) -> bool:
        """Always."""
        return True

    @property
    def longest(self) -> int:
        """A label in a few words."""
        return _LABEL_TOKENS

    def calls(self, backend: ChatBackend) -> int:
        """One where the answer is exact, else the samples."""
        return 1 if backend.exact_choice else self.samples

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """By labels, and by `samples`, `seed` and draw where the backend samples."""
        exact = backend.exact_choice
        asked = map(tuple, conversations) if exact else conversations
        sampled = {} if exact else {"samples": self.samples, "seed": self.seed}
        return [call_key(backend.name, "choose", c, labels=self.labels, **sampled) for c in asked]

    async def of(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[Choice]:
        """Ask for choices."""
        return await backend.choose(
            conversations, self.labels, samples=self.samples, seed=self.seed
        )


class BatchedBackend(ChatBackend):
    """Both methods go the way that a subclass says in `_answers`."""

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply a conversation."""
        return await self._answers(conversations, Generate(sampling))

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """One choice a conversation."""
        return await self._answers(conversations, Choose(labels, samples, seed))

    @abstractmethod
    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        """The answers to either method."""


class BackendWrapper(BatchedBackend):
    """Passes everything on under the backend's name; a subclass says in `_answers` what it adds."""

    def __init__(self, backend: ChatBackend) -> None:
        self._backend = backend
        self.name = backend.name
        # Whether the backend holds and settles each of its requests with `budget.current_meter`.
        self.metered: bool = getattr(backend, "metered", False)
        self.supports_seed = backend.supports_seed
        self.exact_choice = backend.exact_choice

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backend had to leave out of requests, and what that means for its answers."""
        return getattr(self._backend, "notes", ())
