"""Comprehension probe: which words of the outcomes a model does not know (a lexical decision).

A model is asked for every word whether it is real or invented, in both orders, and the same for
invented words made of the same letters. A word counts as known if the model takes it for real more
than nearly all of the invented ones. For a model that does not know it, the word is just one more
of these, so it passes by luck in MISSED of the cases, whatever the model's bias to one answer or
one position. If a model cannot tell plain English words from invented ones either, the probe shows
nothing. Knowing the words does not yet mean understanding the sentence. Only words of alphabets
with capital letters are asked about: other scripts do not separate words by spaces, or do not write
all their sounds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.elicitation.asking import Answers, Subject, ask
from evaluation.elicitation.elicit import both_orders
from plenary.embedded.reading import unread_words
from plenary.errors import DataError, NotMeasured
from plenary.models.base import ChatBackend
from plenary.outcomes import Outcome
from plenary.preferences import FloatArray
from plenary.prompt_templates import PromptTemplate
from plenary.seeding import generator

PLAIN = (
    "water", "house", "people", "money", "school", "street", "child", "hospital", "music",
    "winter", "bread", "letter", "garden", "river", "doctor", "summer", "mother", "market",
    "family", "window",
)  # fmt: skip
INVENTED = 40
MISSED = 0.1
# Plain words that must be known; with fewer, good outcomes would be reported as misread.
SHOWN = 18
SAMPLES = 2
SHORTEST = 3
_TRIES = 10_000
_WORD = re.compile(r"[^\W\d_]+")
_FORM = PromptTemplate(
    "word",
    1,
    "Which of these two statements is true?\nOption A: {a}\nOption B: {b}\nAnswer with A or B.",
    trainable=False,
)


class Comprehension(NamedTuple):
    """Outcome id -> words that a model did not know; and why a model's reading is unknown."""

    unread: dict[str, tuple[str, ...]]
    not_measured: dict[str, str]

    @classmethod
    def join(cls, parts: Sequence[Comprehension]) -> Comprehension:
        """What any of several models did not know."""
        unread: dict[str, tuple[str, ...]] = {}
        for part in parts:
            for name, words in part.unread.items():
                unread[name] = tuple(dict.fromkeys((*unread.get(name, ()), *words)))
        reasons = {name: why for part in parts for name, why in part.not_measured.items()}
        return cls(unread, reasons)


def probed_words(text: str) -> tuple[str, ...]:
    """The words of a sentence that are asked about, each once, as written."""
    found = (word for word in _WORD.findall(text) if len(word) >= SHORTEST)
    return tuple(dict.fromkeys(word for word in found if word.lower() != word.upper()))


def invented_words(words: Sequence[str], seed: int) -> tuple[str, ...]:
    """Invented words with the words' lengths and letter sequences (letters that follow each other).

    Fewer than INVENTED if the letters allow no more.
    """
    rng = generator(seed, "comprehension", "invented")
    follows: dict[str, list[str]] = defaultdict(list)
    sources = sorted({word.lower() for word in (*words, *PLAIN)})
    for word in sources:
        for k, letter in enumerate(word):
            follows[word[max(0, k - 2) : k]].append(letter)
    lengths = [len(word) for word in words]
    found: dict[str, None] = {}
    for _ in range(_TRIES):
        if len(found) == INVENTED:
            break
        length, word = int(rng.choice(lengths)), ""
        while len(word) < length and (choices := follows.get(word[-2:])):
            word += str(rng.choice(choices))
        # The shipped vocabulary contains most English words, so no real word is taken for invented.
        if len(word) == length and word not in sources and unread_words(word):
            found[word] = None
    return tuple(found)


async def read_words(model: ChatBackend, words: Sequence[str], seed: int) -> FloatArray:
    """Share of answers that take each word [N] for real, over both orders; 0.5 if unanswered."""
    claims = [f'"{word}" is {kind} word' for word in words for kind in ("a real", "an invented")]
    pairs = np.arange(len(claims), dtype=np.int64).reshape(-1, 2)
    answers: Answers = await ask(
        Subject(model, claims, None, seed), _FORM, both_orders(pairs), SAMPLES, 0
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        first = answers.cells.wins / answers.cells.trials
    real = np.where(np.arange(len(first)) % 2 == 0, first, 1 - first)
    return np.nan_to_num(real, nan=0.5).reshape(-1, 2).mean(axis=1)


async def unknown_words(model: ChatBackend, words: Sequence[str], seed: int) -> tuple[str, ...]:
    """The words that the model does not know.

    NotMeasured if it cannot tell plain words from invented ones, or none can be made.
    """
    invented = invented_words(words, seed)
    if len(invented) < INVENTED:
        raise NotMeasured(f"only {len(invented)} words can be invented from the outcomes' letters")
    asked = tuple(dict.fromkeys((*words, *PLAIN)))
    shares = await read_words(model, (*asked, *invented), seed)
    real, made_up = dict(zip(asked, shares, strict=False)), np.sort(shares[len(asked) :])
    # An unknown word, like the invented ones, ranks above this bar in MISSED of the cases.
    bar = made_up[-int(MISSED * (INVENTED + 1))] + 1e-9
    shown = sum(real[word] > bar for word in PLAIN)
    if shown < SHOWN:
        raise NotMeasured(
            f"{model.name!r} told {shown} of {len(PLAIN)} plain words from invented ones, so "
            "whether it reads the outcomes is not known"
        )
    return tuple(word for word in words if real[word] <= bar)


async def read_outcomes(
    models: Mapping[str, ChatBackend], outcomes: Sequence[Outcome], most: float, seed: int
) -> Comprehension:
    """What each model does not know; DataError if that affects more than `most` outcomes."""
    words = {o.id: probed_words(o.text) for o in outcomes}
    distinct = tuple(dict.fromkeys(word for found in words.values() for word in found))
    parts = []
    for spec, model in models.items() if distinct else ():
        try:
            unknown = frozenset(await unknown_words(model, distinct, seed))
        except NotMeasured as error:
            parts.append(Comprehension({}, {f"reading of {spec}": str(error)}))
            continue
        found = {
            name: lost for name, said in words.items()
            if (lost := tuple(word for word in said if word in unknown))
        }  # fmt: skip
        _refuse(spec, found, len(outcomes), most)
        parts.append(Comprehension(found, {}))
    return Comprehension.join(parts)


def _refuse(spec: str, found: Mapping[str, Sequence[str]], outcomes: int, most: float) -> None:
    if len(found) <= most * outcomes:
        return
    named = "; ".join(f"{name!r}: {', '.join(map(repr, found[name]))}" for name in [*found][:5])
    raise DataError(
        f"{spec!r} does not know a word of {len(found)} of {outcomes} outcomes "
        f"({named}{'; ...' if len(found) > 5 else ''}), so its votes on them are meaningless; use "
        "words that it knows, another model, raise outcomes.max_unread, or leave the probe out "
        "with outcomes.probe=false"
    )
