"""Random numbers by name: one root seed and a path of labels give one stream."""

from __future__ import annotations

import hashlib

import numpy as np


def _words(seed: int, path: tuple[str | int, ...]) -> list[int]:
    text = "\x1f".join(str(part) for part in (seed, *path))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return [int.from_bytes(digest[k : k + 4], "little") for k in range(0, 16, 4)]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Independent generator for `path` under the root `seed`; adding a path shifts no other."""
    return np.random.default_rng(np.random.SeedSequence(_words(seed, path)))


def derived_seed(seed: int, *path: str | int) -> int:
    """Seed in [0, 2**31) for a library that takes an integer (torch, Faker)."""
    return _words(seed, path)[0] & 0x7FFFFFFF
