"""How fast are one-token ballots, against sampling answers and against one prompt at a time?

Pairs (both orders) a second with the shipped model on this machine, as ratios in one run:
our path (shared prefix, batched, label logits only) against unshared batches, against one prompt at
a time, and against generating 10 short answers an order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from benchmarks.targets import Target, main
from evaluation.frames import FRAMES, LABELS, question
from plenary.chat.base import Conversation, Sampling
from plenary.chat.local import LocalBackend
from plenary.embedded import citizens, model_path
from plenary.outcomes import default_outcomes
from plenary.seeding import generator

SAMPLES = 10


def ballots(people: int, pairs: int) -> list[Conversation]:
    """Both orders of the same pairs as `people` personas; a persona's stand side by side."""
    rng = generator(0, "benchmark", "elicitation")
    titles = citizens.occupations()
    drawn = (citizens.draw_citizen(rng, held_out=True, titles=titles) for _ in range(people))
    panel = [citizens.second_person(citizen) for citizen in drawn]
    texts = default_outcomes().texts
    asked = [rng.choice(len(texts), 2, replace=False) for _ in range(pairs)]
    both = [order for a, b in asked for order in ((a, b), (b, a))]
    frame = FRAMES["plain"]
    return [question(frame, texts[a], texts[b], system=p) for p in panel for a, b in both]


def seconds_a_ballot(backend: LocalBackend, asked: Sequence[Conversation], at_once: int) -> float:
    """Mean seconds of `choose` when `at_once` conversations come in one call."""
    began = time.perf_counter()
    for start in range(0, len(asked), at_once):
        asyncio.run(backend.choose(asked[start : start + at_once], LABELS))
    return (time.perf_counter() - began) / len(asked)


def seconds_a_sampled_ballot(backend: LocalBackend, asked: Sequence[Conversation]) -> float:
    """Mean seconds to generate SAMPLES answers a conversation."""
    began = time.perf_counter()
    for sample in range(SAMPLES):
        asyncio.run(backend.generate(asked, Sampling(max_tokens=3, sample=sample)))
    return (time.perf_counter() - began) / len(asked)


def speed(quick: bool) -> Iterator[Target]:
    """Ratios of our path against the plain ones."""
    asked = ballots(12 if quick else 40, 30 if quick else 60)
    backend = LocalBackend(model_path())
    seconds_a_ballot(backend, asked[:60], 60)
    ours = seconds_a_ballot(backend, asked, len(asked))
    scattered = asked[:: len(asked) // 12] if quick else asked[:: len(asked) // 40]
    alone = seconds_a_ballot(backend, scattered, 1)
    sampled = seconds_a_sampled_ballot(backend, asked[:120])
    yield Target("ballots a second", 1 / ours, 1000)
    yield Target("speed against one prompt at a time", alone / ours, 2)
    yield Target("speed against 10 sampled answers", sampled / ours, 10)


if __name__ == "__main__":
    main(__doc__, speed)
