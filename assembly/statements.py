"""Cleaning what a citizen said before anybody hears it.

Agent text is data. It may not become a message, a label or another speaker's line, so control
tokens, markup, line breaks and option letters go, and its length is capped (ecosystem.md section
6).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

MAX_CHARACTERS = 240

_TOKEN = re.compile(r"<[^<>\s]{0,40}>|\[/?[A-Z_]{2,20}\]|<{1,2}/?SYS>{1,2}")
_MARKUP = re.compile(r"[<>|\uff5c`{}#*_]+")
_ROLE = re.compile(r"(?i)\b(?:system|assistant|user|human|moderator|developer)\s*:")
_SPEAKER = re.compile(r"(?i)\bfor (?:option )?[ab]\s*:|^\s*(?:option )?[ab]\s*[.:)]\s+")
_NAMED = re.compile(
    r"\b(?i:options?|choice|answer|outcome|side|letter|vote for|vote)\s+[\"'(]?"
    r"([ABb]|a(?=\s*(?:[.,:;!?)\"']|$)))\b[\"')]?"
)
# A letter on its own names an option at the start of a clause or after one of these words; after
# any other it is part of a name: hepatitis B, vitamin A, plan B.
_WORDS = (
    "and or but than then so that because if for to with over against choose chose choosing pick "
    "picked prefer preferred support take favor favour want say like all both between"
)
_LEAD = rf"(?:(?:^|[.,:;!?(\"']) *|\b(?i:{'|'.join(_WORDS.split())}) +)"
_BARE = re.compile(
    rf"(?P<lead>{_LEAD})(?:(?P<b>B)\b(?![-'])|"
    r"(?P<a>A)\b(?=\s*(?:[.,:;!?)\"']|$|is\b|has\b|would\b|will\b|and B\b|or B\b)))"
)


def clean(text: str, letter: str, limit: int = MAX_CHARACTERS) -> str:
    """One line of plain prose, at most `limit` characters; empty when nothing is left.

    `letter` is the label ("A" or "B") that the speaker's own option carried in the prompt; names of
    letters turn into "this option" and "the other option", which hold in any presentation order.
    """
    names = {label: "this option" if label == letter else "the other option" for label in "AB"}
    return named(text, names, limit)


def named(text: str, names: Mapping[str, str], limit: int = MAX_CHARACTERS) -> str:
    """As `clean`, with the words that stand for the letters A and B given."""
    # Nobody hears more than `limit`; what is far beyond it need not be read.
    text = _one_line(_without_tokens(text[: 8 * limit]))
    text = _SPEAKER.sub(" ", _ROLE.sub(" ", text))
    text = _NAMED.sub(lambda match: names[match.group(1).upper()], text)
    text = _BARE.sub(lambda match: match["lead"] + names[match["a"] or match["b"]], text)
    text = " ".join(text.split()).strip(" -\"'")
    return _cut(text, limit) if any(character.isalnum() for character in text) else ""


def _without_tokens(text: str) -> str:
    before = None
    while before != text:
        before, text = text, _TOKEN.sub(" ", text)
    return _MARKUP.sub(" ", text)


def _one_line(text: str) -> str:
    """Control, format and unassigned characters become blanks, any white space one blank."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(plain.split())


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(" ,;:-") or text[:limit]
