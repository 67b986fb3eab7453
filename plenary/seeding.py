"""Random number generators: one root seed and a path of labels give one independent stream."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def _text(seed: int, path: tuple[str | int, ...]) -> bytes:
    return "\x1f".join(str(part) for part in (seed, *path)).encode()


def _words(seed: int, path: tuple[str | int, ...]) -> list[int]:
    digest = hashlib.blake2b(_text(seed, path), digest_size=16).digest()
    return [int.from_bytes(digest[k : k + 4], "little") for k in range(0, 16, 4)]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Independent generator for `path` under the root `seed`; adding a path changes no other."""
    return np.random.default_rng(np.random.SeedSequence(_words(seed, path)))


def derived_seed(seed: int, *path: str | int) -> int:
    """Seed in [0, 2**31) for a library that takes an integer (torch, Faker)."""
    return _words(seed, path)[0] & 0x7FFFFFFF


def uniforms(
    seed: int, ids: npt.NDArray[np.int64], count: int, *path: str | int
) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1) [N, count], each row a function of seed, path and its id alone.

    For millions of ids, for which one generator each would take most of the time: the output
    function of SplitMix64 (Steele, Lea and Flood 2014 [steele2014]) on a counter of id and column.
    """
    base = int.from_bytes(hashlib.blake2b(_text(seed, path), digest_size=8).digest(), "little")
    step = np.uint64(0x9E3779B97F4A7C15)
    state = _mixed(ids.astype(np.uint64) * step + np.full(len(ids), base, dtype=np.uint64))
    columns = np.arange(1, count + 1, dtype=np.uint64) * step
    return (_mixed(state[:, None] + columns) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
