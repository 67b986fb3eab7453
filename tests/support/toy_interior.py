"""A model with a known inside: activations hold the utility, and pushes act as they are told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from support.choosers import Chooser

from plenary.models.activations import Activations, Interior, MarkedText
from plenary.preferences import FloatArray


class ToyInterior(Interior):
    """Activations at layer l are noise + strength[l] * utility along one direction.

    acting: what a push [D] adds to the log odds, by layer.
    """

    def __init__(
        self,
        utility: Callable[[str], float],
        strength: Sequence[float],
        acting: Sequence[FloatArray],
        width: int = 16,
        seed: int = 0,
    ) -> None:
        self.layers = tuple(range(len(strength)))
        self._utility, self._strength, self._acting = utility, strength, acting
        self._width, self._seed = width, seed

    @property
    def along(self) -> FloatArray:
        return np.eye(self._width)[0]

    def read(self, texts: Sequence[str]) -> Activations:
        rng = np.random.default_rng(self._seed)
        noise = rng.standard_normal((len(self.layers), len(texts), self._width))
        values = np.array([self._utility(text) for text in texts])
        held = np.multiply.outer(np.array(self._strength), np.outer(values, self.along))
        return Activations(noise + held, noise)

    def read_marked(self, marked: Sequence[MarkedText]) -> Activations:
        return self.read([mark.text for mark in marked])

    def lead(
        self, marked: Sequence[MarkedText], labels: tuple[str, str], layer: int, pushes: FloatArray
    ) -> FloatArray:
        values = np.array([self._utility(mark.text) for mark in marked])
        return values + (pushes @ self._acting[layer])[:, None]

    def untrained(self, seed: int) -> Interior:
        return ToyInterior(self._utility, [0.0] * len(self.layers), self._acting, self._width, seed)


class OpenChooser(Chooser):
    """A chooser whose inside can be read."""

    def __init__(self, utility: Callable[[str], float], interior: Interior) -> None:
        super().__init__(utility)
        self.interior = interior
