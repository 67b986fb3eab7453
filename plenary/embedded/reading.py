"""Finding the words of an outcome that the embedded model cannot read.

A word is read if the grammar that the model was trained on uses it, or if it, or it without a
common English ending, is a piece of its vocabulary: then a vector of its own stands near those of
trained words. Any other is cut into pieces that say nothing of it: invented nouns, misspellings,
other languages, long numbers. Plain English holds such words, too, mostly rare ones; and a sentence
of known words may still say something that the model does not grasp.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache

from plenary.embedded import grammar, model_path

ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "r", "er", "rs", "ers")
_WORD = re.compile(r"[^\W_]+")


@cache
def _vocabulary() -> frozenset[str]:
    text = (model_path() / "tokenizer.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["model"]["vocab"])


@cache
def _trained() -> frozenset[str]:
    """Words of the grammar's frames and fillers."""
    texts: list[str] = []
    for name in grammar.topics():
        for pattern in grammar.patterns(name):
            texts.append(re.sub(r"{\w+}", " ", pattern.frame.text))
            texts += [filler for slot in pattern.slots for filler in slot.fillers]
    return frozenset(word for text in texts for word in _words(text))


def _words(text: str) -> list[str]:
    """Words in lower case and without accents, as the tokenizer takes them."""
    plain = unicodedata.normalize("NFD", text.lower())
    return _WORD.findall("".join(c for c in plain if unicodedata.category(c) != "Mn"))


def unread_words(text: str) -> tuple[str, ...]:
    """Words and numbers of a sentence that the model cannot read, each once, in order."""
    return tuple(dict.fromkeys(word for word in _words(text) if not _is_read(word)))


def _is_read(word: str) -> bool:
    stems = (word, *(word.removesuffix(end) for end in ENDINGS if word.endswith(end)))
    # A stem of two letters is a piece whatever the word.
    known = any(stem in _vocabulary() for stem in stems if stem == word or len(stem) > 2)
    return known or word in _trained()
