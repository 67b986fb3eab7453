"""The wording is part of the method: it is pinned word for word."""

import pytest

from evaluation.frames import FRAMES, LABELS, frame, question
from plenary.chat.base import Message
from plenary.errors import ConfigError


def test_plain_frame_is_pinned_to_the_letter():
    (message,) = question(FRAMES["plain"], "x", "y")
    assert message == Message(
        "user",
        "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.\n"
        "Option A: x\nOption B: y",
    )
    assert LABELS == ("A", "B")


def test_system_and_preface_stand_before_the_question():
    system, user = question(FRAMES["plain"], "x", "y", system="persona", preface="heard")
    assert system == Message("system", "persona")
    assert user.content.startswith("heard\n\nHere are two")


def test_outcomes_with_braces_are_passed_through():
    assert "Option A: {b} and {}" in question(FRAMES["plain"], "{b} and {}", "y")[0].content


def test_hash_changes_with_the_wording():
    plain = FRAMES["plain"]
    assert plain.text_hash != type(plain)("plain", 1, plain.template + " ").text_hash
    assert all(name == entry.id for name, entry in FRAMES.items())


def test_unknown_frame_is_quoted():
    with pytest.raises(ConfigError, match=r"'fancy'.*plain"):
        frame("fancy")
