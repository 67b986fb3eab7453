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
    """A method of the interface with all its arguments except the conversations."""

    @property
    def kind(self) -> type[Answer]:
        """The type of its answers."""
        ...

    @property
    def draws(self) -> bool:
        """Whether a backend that samples draws the answer at random."""
        ...

    @property
    def longest(self) -> int:
        """The most tokens that one answer may take."""
        ...

    def calls(self, backend: ChatBackend) -> int:
        """Answers asked of the backend for one conversation."""
        ...

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """Hashes of its calls, without arguments that the backend does not use."""
        ...

    async def of(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[Answer]:
        """Put it to a backend."""
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
        """True at any temperature above 0."""
        return self.sampling.temperature > 0

    @property
    def longest(self) -> int:
        """As set in the sampling."""
        return self.sampling.max_tokens

    def calls(self, backend: ChatBackend) -> int:
        """One call."""
        return 1

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """By sampling, and by draw if there is one."""
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
        """Always true."""
        return True

    @property
    def longest(self) -> int:
        """Enough for a label in a few words."""
        return _LABEL_TOKENS

    def calls(self, backend: ChatBackend) -> int:
        """One if the answer is exact, else the number of samples."""
        return 1 if backend.exact_choice else self.samples

    def keys(self, backend: ChatBackend, conversations: Sequence[Conversation]) -> list[str]:
        """By labels, and by `samples`, `seed` and draw if the backend samples."""
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
    """A backend whose two methods both go through `_answers`, which a subclass defines."""

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply per conversation."""
        return await self._answers(conversations, Generate(sampling))

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """One choice per conversation."""
        return await self._answers(conversations, Choose(labels, samples, seed))

    @abstractmethod
    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        """The answers to either method."""


class BackendWrapper(BatchedBackend):
    """Passes everything on under the backend's name; a subclass adds behaviour in `_answers`."""

    def __init__(self, backend: ChatBackend) -> None:
        self._backend = backend
        self.name = backend.name
        # Whether the backend reserves and settles each of its requests with `budget.current_meter`.
        self.metered: bool = getattr(backend, "metered", False)
        self.supports_seed = backend.supports_seed
        self.exact_choice = backend.exact_choice

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backend had to leave out of requests, and what this means for its answers."""
        return getattr(self._backend, "notes", ())
