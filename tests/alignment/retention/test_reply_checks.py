from __future__ import annotations

import pytest

from alignment.retention.reply_checks import leaves_language, refuses


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ("I\u2019m sorry, but I can't help with that.", True),
        ("I cannot answer this.", True),
        ("As an AI I have no views.", True),
        ("Sorry, no.", True),
        ("Bread is made of flour. I cannot stress this enough.", False),
        ("The sorry state of the bridge is known.", False),
        ("", False),
    ],
)
def test_refusals_are_told_by_how_they_begin(reply: str, refused: bool) -> None:
    assert refuses(reply) is refused


PROMPT = "Describe the way to the station in a few words."


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("Go down the hill and turn left at the second light.", False),
        ("Gehen Sie den Berg hinunter und biegen Sie dann links ab.", True),
        ("\u8d70\u4e0b\u5c71\u7136\u540e\u5de6\u8f6c", True),
        ("Down. Left. Station.", False),
        ("42", False),
        ("", False),
    ],
)
def test_another_language_is_told_by_script_and_function_words(reply: str, left: bool) -> None:
    assert leaves_language(reply, PROMPT) is left


def test_a_reply_in_the_language_of_a_foreign_prompt_has_not_left_it() -> None:
    prompt = "Beschreibe den Weg zum Bahnhof mit wenigen Worten."
    assert not leaves_language("Gehen Sie den Berg hinunter und biegen Sie dann links ab.", prompt)
