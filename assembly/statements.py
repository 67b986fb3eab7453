"""Cleaning what a citizen said before anybody hears it.

Agent text is data. It may not become a message, a label or another speaker's line, so control
tokens, markup, line breaks and option letters go, and its length is capped (ecosystem.md section
6).
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 240

_TOKEN = re.compile(r"<[^<>\s]{0,40}>|\[/?[A-Z_]{2,20}\]|<{1,2}/?SYS>{1,2}")
_MARKUP = re.compile(r"[<>|\uff5c`{}#*_]+")
_ROLE = re.compile(r"(?i)\b(?:system|assistant|user|human|moderator|developer)\s*:")
_SPEAKER = re.compile(r"(?i)\bfor (?:option )?[ab]\s*:|^\s*(?:option )?[ab]\s*[.:)]\s+")
_NAMED = re.compile(
    r"\b(?i:options?|choice|answer|outcome|side|letter|vote for|vote)\s+[\"'(]?([ABab])\b[\"')]?"
)
_BARE = re.compile(r"\b(?:(B)\b|(A)\b(?=\s*(?:[.,:;!?)\"']|$|is\b|has\b|would\b|will\b)))")


def clean(text: str, letter: str) -> str:
    """One line of plain prose, at most MAX_CHARACTERS long; empty when nothing is left.

    `letter` is the label ("A" or "B") that the speaker's own option carried in the prompt; names of
    letters turn into "this option" and "the other option", which hold in any presentation order.
    """
    text = _one_line(_without_tokens(text))
    text = _SPEAKER.sub(" ", _ROLE.sub(" ", text))

    def option(match: re.Match[str]) -> str:
        named = next(group for group in match.groups() if group).upper()
        return "this option" if named == letter else "the other option"

    text = _BARE.sub(option, _NAMED.sub(option, text))
    text = " ".join(text.split()).strip(" -\"'")
    return _cut(text) if any(character.isalnum() for character in text) else ""


def _without_tokens(text: str) -> str:
    before = None
    while before != text:
        before, text = text, _TOKEN.sub(" ", text)
    return _MARKUP.sub(" ", text)


def _one_line(text: str) -> str:
    """Control, format and unassigned characters become blanks, any white space one blank."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(plain.split())


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return text[:MAX_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,;:-") or text[:MAX_CHARACTERS]
