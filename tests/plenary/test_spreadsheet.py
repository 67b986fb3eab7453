from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.safe_text import escape_formula, unescape_formula


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1"])
def test_formulas_become_text(text: str) -> None:
    assert escape_formula(text) == "'" + text


@pytest.mark.parametrize("value", ["trees grow", "'tis", "", "1", -1.5, 3, None])
def test_the_rest_stays(value: object) -> None:
    assert escape_formula(value) == value


@given(st.text(alphabet="'=+-@\t\rab1 "))
def test_there_and_back(text: str) -> None:
    cell = escape_formula(text)
    assert isinstance(cell, str)
    assert unescape_formula(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
