"""The default catalogue of outcomes, drawn from wordings that the embedded model never trains on.

`python -m plenary.embedded.catalogue OUT.yaml` writes it: per topic a spread of frames and fillers,
and for some frames with a number a whole ladder of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import yaml

from plenary.embedded import grammar
from plenary.seeding import generator

PER_TOPIC = 18
LADDERS = (
    ("personal_money", 1), ("poverty", 1), ("lives_and_health", 2), ("leisure_time", 2),
    ("disasters", 1), ("wildlife", 1), ("ai_copies", 1), ("medicine_and_care", 1), ("climate", 1),
)  # fmt: skip
WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "ten": 10,
    "fifteen": 15,
    "thirty": 30,
    "half": 50,
}
SEED = 20_26


def quantity(number: str) -> float:
    """The number that a filler states: '2 million', '$60,000', 'ten hours', 'half' (50 percent)."""
    words = number.replace("$", "").replace(",", "").split()
    value = float(WORDS.get(words[0], words[0]))
    for word, factor in (("hundred", 100), ("million", 1_000_000), ("thousand", 1_000)):
        value *= factor if word in words else 1
    return value


def _wording(sentence: grammar.Sentence, pattern: grammar.Pattern) -> tuple[str, ...]:
    return tuple(
        f for f, slot in zip(sentence.fillers, pattern.slots, strict=True) if not slot.minor
    )


def _overlap(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    return len(set(a) & set(b)) / max(len(a), 1)


def _varied(topic: str, count: int, rng: np.random.Generator) -> list[grammar.Sentence]:
    """Held-out sentences: frames in turn, each time the candidate least like those taken."""
    taken: list[tuple[str, tuple[str, ...], grammar.Sentence]] = []
    patterns = grammar.patterns(topic)
    pools = {p.frame.id: [s for s in grammar.sentences(p) if s.held_out] for p in patterns}
    turn = 0
    while len(taken) < count:
        pattern = patterns[turn % len(patterns)]
        turn += 1
        pool = pools[pattern.frame.id]
        if not pool:
            continue
        candidates = [pool[k] for k in rng.integers(len(pool), size=40)]
        texts = {s.text for _, _, s in taken}
        alike = [wording for frame, wording, _ in taken if frame == pattern.frame.id]
        scored = [
            (
                max((_overlap(_wording(s, pattern), w) for w in alike), default=0.0),
                abs(sum(float(s.attributes @ t.attributes) for _, _, t in taken)),
                k,
            )
            for k, s in enumerate(candidates)
            if s.text not in texts
        ]
        if scored:
            best = candidates[min(scored)[2]]
            taken.append((pattern.frame.id, _wording(best, pattern), best))
        elif turn > 50 * count:
            raise ValueError(
                f"topic {topic!r} has too few held-out wordings; add fillers to its frames"
            )
    return [s for _, _, s in taken]


def _ladder(
    topic: str, count: int, rng: np.random.Generator
) -> list[tuple[str, float, grammar.Sentence]]:
    """Whole ladders: one wording with every number of its list."""
    rungs = []
    laddered = [p for p in grammar.patterns(topic) if p.frame.ladder]
    pools = [(p, [s for s in grammar.sentences(p) if s.held_out]) for p in laddered]
    for pattern, pool in [(p, pool) for p, pool in pools if pool][:count]:
        chosen = pool[int(rng.integers(len(pool)))]
        numbers = next(
            k
            for k, s in enumerate(pattern.slots)
            if s.minor and isinstance(s.weightings[0], int | float)
        )
        for sentence in pool:
            rest = [
                (a, b)
                for k, (a, b) in enumerate(zip(sentence.fillers, chosen.fillers, strict=True))
                if k != numbers
            ]
            if all(a == b for a, b in rest):
                rungs.append(
                    (str(pattern.frame.ladder), quantity(sentence.fillers[numbers]), sentence)
                )
    return rungs


def _direction(sentence: grammar.Sentence) -> str | None:
    """Politics of the sentence: the policy's when adopted, the opposite when turned down."""
    pattern = next(p for p in grammar.patterns(sentence.topic) if p.frame.id == sentence.frame)
    if pattern.frame.direction is None:
        return None
    sign = 1.0
    for filler, slot in zip(sentence.fillers, pattern.slots, strict=True):
        weighting = slot.weightings[slot.fillers.index(filler)]
        sign *= weighting if isinstance(weighting, int | float) else 1.0
    other = {"left": "right", "right": "left"}
    return pattern.frame.direction if sign > 0 else other[pattern.frame.direction]


def entries(rng: np.random.Generator) -> list[dict[str, object]]:
    """Every outcome of the catalogue as plain data."""
    rows: list[dict[str, object]] = []
    ladders = dict(LADDERS)
    for topic in grammar.topics():
        rungs = _ladder(topic, ladders.get(topic, 0), rng)
        texts = {s.text for _, _, s in rungs}
        others = [s for s in _varied(topic, PER_TOPIC, rng) if s.text not in texts]
        found = [(s, None, None) for s in others] + [(s, name, q) for name, q, s in rungs]
        for k, (sentence, name, number) in enumerate(found):
            row: dict[str, object] = {
                "id": f"{topic}-{k:03d}",
                "text": sentence.text,
                "topic": topic,
            }
            extra = {"ladder": name, "quantity": number, "direction": _direction(sentence)}
            rows.append(row | {key: value for key, value in extra.items() if value is not None})
    return rows


def main() -> None:
    """Write the catalogue file."""
    rows = entries(generator(SEED, "catalogue"))
    head = (
        "# Written by plenary.embedded.catalogue "
        "from wordings held out of the embedded model's training.\n"
    )
    body = yaml.safe_dump({"outcomes": rows}, sort_keys=False, allow_unicode=True, width=200)
    Path(sys.argv[1]).write_text(head + re.sub(r"\n(- id)", r"\n\n\1", body), encoding="utf-8")


if __name__ == "__main__":
    main()
