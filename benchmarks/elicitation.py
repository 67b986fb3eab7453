"""How fast are one-token ballots, against sampling answers and against one prompt at a time?

Ballots a second with the shipped model on this machine, and ratios in one run: our path (shared
prefix, batched, label logits only) against one prompt at a time, against the same without shared
prefixes and against 10 sampled answers a prompt (a pair takes two prompts, so the ratio is that of
a pair too); and replies to 64 callers at once against one batch of them. The same ballots in
bfloat16, and how far any label's share is then from that in float32.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from benchmarks.targets import Target, main
from plenary.embedded import citizens, model_path
from plenary.models.base import ChatBackend, Conversation, Sampling
from plenary.models.local import prefix_batching
from plenary.models.local.huggingface import LocalBackend
from plenary.models.local.prefix_batching import one_run
from plenary.models.settings import LocalSettings
from plenary.models.wrappers.micro_batching import MicroBatchingBackend
from plenary.outcomes import default_outcomes
from plenary.preferences import FloatArray
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, question
from plenary.seeding import generator

SAMPLES = 10
CALLERS, TURNS = 64, 5


@contextmanager
def unshared() -> Iterator[None]:
    """Prompts in batches by length, every one computed from its first token."""
    kept = prefix_batching.plan_runs
    prefix_batching.plan_runs = lambda rows: [one_run(rows)]
    try:
        yield
    finally:
        prefix_batching.plan_runs = kept


def ballots(people: int, pairs: int) -> list[Conversation]:
    """Both orders of the same pairs as `people` personas; a persona's stand side by side."""
    rng = generator(0, "benchmark", "elicitation")
    titles = citizens.occupations()
    drawn = (citizens.draw_citizen(rng, held_out=True, titles=titles) for _ in range(people))
    panel = [citizens.second_person(citizen) for citizen in drawn]
    texts = default_outcomes().texts
    asked = [rng.choice(len(texts), 2, replace=False) for _ in range(pairs)]
    both = [order for a, b in asked for order in ((a, b), (b, a))]
    template = PROMPT_TEMPLATES["plain"]
    return [question(template, texts[a], texts[b], system=p) for p in panel for a, b in both]


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


def seconds_a_reply(texts: Sequence[Conversation], backend: ChatBackend) -> float:
    """Mean seconds of a reply when every conversation comes from a caller of its own."""

    async def ask() -> None:
        await asyncio.gather(*(backend.generate([one], Sampling(max_tokens=8)) for one in texts))

    began = time.perf_counter()
    asyncio.run(ask())
    return (time.perf_counter() - began) / len(texts)


def seconds_a_raw_reply(texts: Sequence[Conversation], backend: LocalBackend) -> float:
    """Mean seconds of a reply in one batched call."""
    began = time.perf_counter()
    asyncio.run(backend.generate(texts, Sampling(max_tokens=8)))
    return (time.perf_counter() - began) / len(texts)


def shares(backend: LocalBackend, asked: Sequence[Conversation]) -> FloatArray:
    """Share [N, labels] of each label."""
    return np.array([choice.shares for choice in asyncio.run(backend.choose(asked, LABELS))])


def chat(asked: Sequence[Conversation], backend: LocalBackend) -> float:
    """Time of micro-batched replies over that of one batch: median of turns taken in pairs."""
    shared = MicroBatchingBackend(backend)
    ratios = []
    for turn in range(TURNS):
        part = asked[turn * CALLERS : (turn + 1) * CALLERS]
        ratios.append(seconds_a_reply(part, shared) / seconds_a_raw_reply(part, backend))
    shared.close()
    return statistics.median(ratios)


def speed(quick: bool) -> Iterator[Target]:
    """Ratios of our path against the plain ones."""
    asked = ballots(12 if quick else 40, 30 if quick else 60)
    backend = LocalBackend(model_path())
    seconds_a_ballot(backend, asked[:60], 60)
    ours = seconds_a_ballot(backend, asked, len(asked))
    scattered = asked[:: len(asked) // (12 if quick else 40)]
    alone = seconds_a_ballot(backend, scattered, 1)
    sampled = seconds_a_sampled_ballot(backend, asked[:120])
    with unshared():
        apart = seconds_a_ballot(backend, asked[:400], 400)
    together = seconds_a_ballot(backend, asked[:400], 400)
    yield Target("ballots a second", 1 / ours, 1000)
    yield Target("speed against one prompt at a time", alone / ours, 2, ratio=True)
    yield Target("speed against prefixes computed each time", apart / together, 1.2, ratio=True)
    yield Target("speed against 10 sampled answers", sampled / ours, 10, ratio=True)
    # Half the bytes a token: twice the tokens fit the processor's cache.
    half = LocalSettings(dtype="bfloat16", batch_tokens=2 * LocalSettings().batch_tokens)
    coarse = LocalBackend(model_path(), settings=half)
    seconds_a_ballot(coarse, asked[:60], 60)
    rate = 1 / seconds_a_ballot(coarse, asked, len(asked))
    moved = float(np.abs(shares(coarse, asked) - shares(backend, asked)).max())
    yield Target("ballots a second in bfloat16", rate, 1000)
    yield Target("largest difference of a share, bfloat16", moved, 0.05, at_least=False)
    shared = chat(asked, backend)
    yield Target("micro-batched replies, time over one batch", shared, 1.5, False, ratio=True)


if __name__ == "__main__":
    main(__doc__, speed)
