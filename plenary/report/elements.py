"""Building blocks of report pages: tiles, figures, tables, sentences, numbers in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from evaluation.claims.claims import Finding
from plenary.figures.page_parts import Head
from plenary.safe_text import strip_hidden


class Drawing(NamedTuple):
    """A figure and its caption."""

    drawing: Markup
    caption: str


class QuotedStatement(NamedTuple):
    """A statement, its speaker, and the outcome it supports against which other."""

    text: str
    speaker: str
    side: str
    other: str


Row = tuple[str, ...]

FACTS = (Head("What"), Head("Value"))

UTILITIES = "utilities of held-out outcomes"


def shown(value: object) -> str:
    """A setting's value as a user would write it."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(strip_hidden(str(item)) for item in value) or "none"
    return strip_hidden(str(value))


def facts(pairs: Iterable[tuple[str, object]]) -> tuple[Row, ...]:
    """Two-column rows."""
    return tuple((name, _number(v)) for name, v in pairs)


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return shown(value)
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if np.isnan(value) else f"{value:.4g}"


def three(value: object) -> str:
    """A share or a distance with three digits; a count as a whole number."""
    if isinstance(value, float | np.floating) and not np.isnan(value):
        return f"{value:.3f}"
    return _number(value)


def percent(values: Sequence[float]) -> str:
    """A share or a range of shares as a percentage."""
    return " to ".join(f"{100 * value:.1f}" for value in values) + " %"


LEFT_OUT = "Not measured in this run; set {} to measure it."


class ReportTable(NamedTuple):
    """A table, folded under a summary line if one is given."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    folded: str = ""


class Section(NamedTuple):
    """A heading, sentences that passed the claims, figures, tables, and a note below them."""

    title: str
    said: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    note: str = ""


def sentences(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """The sentences of findings; claims without a sentence are left out."""
    return tuple(finding.sentence for finding in findings if finding.sentence)
