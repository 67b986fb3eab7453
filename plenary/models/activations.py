"""Interface for reading a local model's activations and adding steering vectors to them.

Shapes: N texts, L layers read (0 the embeddings, l the output of block l), D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from plenary.errors import BackendError
from plenary.models.base import ChatBackend, Conversation
from plenary.preferences import FloatArray


class Activations(NamedTuple):
    """Residual stream [L, N, D] at the last token of each text, and its mean over the tokens."""

    last: FloatArray
    mean: FloatArray


class MarkedText(NamedTuple):
    """A conversation, and the text in its last message whose tokens are read or steered."""

    conversation: Conversation
    text: str


class Interior(Protocol):
    """A model's activations, to be read and steered. layers [L]: those that `read` returns."""

    layers: tuple[int, ...]

    def read(self, texts: Sequence[str]) -> Activations:
        """Activations of texts on their own, outside any conversation."""
        ...

    def read_marked(self, marked: Sequence[MarkedText]) -> Activations:
        """Activations of the marked texts inside their conversations."""
        ...

    def lead(
        self,
        marked: Sequence[MarkedText],
        labels: tuple[str, str],
        layer: int,
        pushes: FloatArray,
    ) -> FloatArray:
        """Log odds [R, N] of the first label over the second.

        Each row of `pushes` [R, D], one at a time, is added to `layer` at the tokens of the marked
        texts.
        """
        ...

    def untrained(self, seed: int) -> Interior:
        """A copy of the architecture with untrained weights."""
        ...


def interior_of(backend: ChatBackend) -> Interior:
    """The activations of a backend, also behind wrappers; BackendError if it has only answers."""
    inner: object = backend
    # Asked for only once, because a backend creates the object on each request.
    while (inside := getattr(inner, "interior", None)) is None:
        inner = getattr(inner, "_backend", None)
        if inner is None:
            raise BackendError(
                f"the inside of {backend.name!r} cannot be read, only its answers; use a model on "
                "this machine: --model embedded or local:PATH"
            )
    return inside
