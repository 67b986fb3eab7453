from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.chat.parse_label import parse_label

READABLE = [
    ("A", "A"),
    ("B.", "B"),
    ("b", "B"),
    (" a \n", "A"),
    ("(B)", "B"),
    ("[A]", "A"),
    ('"A"', "A"),
    ("**B**", "B"),
    ("`A`", "A"),
    ("Option B.", "B"),
    ("option a", "A"),
    ("Answer: A", "A"),
    ("The answer is **A**.", "A"),
    ("My final answer: option B", "B"),
    ("Answer: A is tempting, but on reflection... Answer: B", "B"),
    ("A: the town plants trees", "A"),
    ("A, because it saves lives.", "A"),
    ("A because it saves lives.", "A"),
    ("B because it saves lives.", "B"),
    ("I would choose A over B.", "A"),
    ("I prefer option B, as option A costs too much.", "B"),
    ("I'd go with B", "B"),
    ("Between the two, I pick (a).", "A"),
    ("Option A is cheaper, option B is fairer. I choose B.", "B"),
    ("Both have merits, but my answer is A.", "A"),
    ("<think>A seems fine. Answer: A</think>B", "B"),
    ("Ich w\u00e4hle B.", "B"),
    ("La respuesta es A.", "A"),
    ("\u6211\u9009\u62e9B", "B"),
    ("\uff22", "B"),
    ("$\\boxed{A}$ Answer: A", "A"),
    ("A\n\nExplanation: a clinic helps many.", "A"),
    ("Not an easy question. B", "B"),
]
UNREADABLE = [
    "",
    "A pet parrot",
    "a pet parrot",
    "A difficult question.",
    "Both.",
    "Both A and B are fine.",
    "Neither A nor B.",
    "Neither.",
    "A or B",
    "A/B",
    "I cannot choose between A and B.",
    "I would not choose A.",
    "As an AI, I have no preferences.",
    "Option A has merits and option B has merits.",
    "C",
    "Je ne peux pas choisir.",
    "Abstain",
    "I am not able to pick a side.",
    "BA",
    "The answer is a matter of taste.",
]


@pytest.mark.parametrize(("text", "label"), READABLE)
def test_reads_what_is_clear(text: str, label: str) -> None:
    assert parse_label(text, ("A", "B")) == label


@pytest.mark.parametrize("text", UNREADABLE)
def test_never_guesses(text: str) -> None:
    assert parse_label(text, ("A", "B")) is None


def test_labels_may_be_words() -> None:
    assert parse_label("I choose the first: Alpha.", ("alpha", "beta")) is None
    assert parse_label("Answer: Beta", ("alpha", "beta")) == "beta"
    assert parse_label("10", ("1", "10")) == "10"


@given(st.text(max_size=200))
def test_any_text_gives_a_label_or_none(text: str) -> None:
    assert parse_label(text, ("A", "B")) in ("A", "B", None)
