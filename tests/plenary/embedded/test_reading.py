"""What the embedded model cannot read is told word by word."""

from __future__ import annotations

import pytest

from plenary.embedded import grammar
from plenary.embedded.reading import unread_words
from plenary.outcomes import default_outcomes


def test_every_outcome_that_ships_is_read() -> None:
    assert [outcome.text for outcome in default_outcomes() if unread_words(outcome.text)] == []


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("The quux builds 500 flats", ("quux",)),
        ("A blorf opens a wug in Ohio", ("blorf", "wug")),
        ("Die Stadt baut 500 neue Wohnungen", ("stadt", "baut", "neue", "wohnungen")),
        ("Le gouvernement réduit les impôts", ("gouvernement", "reduit", "impots")),
        ("The goverment bilds 500 houses", ("goverment", "bilds")),
        ("The town plants 8123456 trees", ("8123456",)),
        ("市は住宅を建てる", ("市は住宅を建てる",)),
        ("asdf qwer zxcv", ("asdf", "qwer", "zxcv")),
        ("The town plants 73 trees", ()),
        ("Rents fall by 3.75 % in Berlin, the mayor's office says", ()),
        ("Teachers' pay rises; nurses and dockworkers get nothing", ("dockworkers",)),
    ],
)
def test_words_outside_training_are_named(text: str, unread: tuple[str, ...]) -> None:
    assert unread_words(text) == unread


def test_most_sentences_of_plain_english_are_read() -> None:
    texts = [rated.text for topic in grammar.topics().values() for rated in topic.hand_rated]
    assert sum(bool(unread_words(text)) for text in texts) < 0.3 * len(texts)
