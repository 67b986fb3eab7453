from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plenary.safe_text import strip_hidden


def test_hidden_characters_go_and_lines_are_joined() -> None:
    assert strip_hidden("a\u202eb\u200bc\x00d\n e\tf") == "abcd e f"


def test_long_text_is_cut_with_a_mark() -> None:
    assert strip_hidden("x" * 50, 10) == "x" * 9 + "…"


@given(st.text())
def test_result_is_one_printable_line(text: str) -> None:
    shown = strip_hidden(text)
    assert "\n" not in shown
    assert all(c == " " or c.isprintable() or not c.isascii() for c in shown)
    assert strip_hidden(shown) == shown
