"""Sanitising statements (also against prompt injection): cleaned before anybody hears them.

What a model wrote is data. It may not become a message, a label or another speaker's line, so
control tokens, markup, line breaks and option letters go, and its length is capped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

MAX_CHARACTERS = 240

_TOKEN = re.compile(r"<[^<>\s]{0,40}>|\[/?[A-Z_]{2,20}\]|<{1,2}/?SYS>{1,2}")
_MARKUP = re.compile(r"[<>|\uff5c`{}#*_]+")
_ROLE = re.compile(r"(?i)\b(?:system|assistant|user|human|moderator|developer)\s*:")
_HEAD = re.compile(r"(?i)\bfor (?:option )?(?P<x>[ab])\s*:|^\s*(?:option )?(?P<y>[ab])\s*[.:)]\s+")

# What follows a letter distinguishes it from the article "a", by one rule for A and B: an end, a
# verb, or a word that no article precedes. A lower-case letter needs the strict part of the rule,
# and more text after it: an answer may be cut after an article.
_QUOTES = "\"'\u2018\u2019\u201c\u201d"
_END = rf"\s*(?:[.,:;!?)/\]{_QUOTES}]|$)|\s+[-\u2013\u2014]+\s|\s+(?-i:[AB])\b"
_LINK = (
    r"(?:is|was|has|had|does|would|should|could|and|or|over|than|because|since|but|beats|vs|cannot|"
    r"[a-z]+n['\u2019]t)\b(?!-)"
)
_PLACE = (
    r"(?:as|if|for|to|in|on|at|with|by|from|without|that|which|not|rather than|instead of|versus|"
    r"will(?! to\b)|can(?! of\b)|may|might|must(?! for\b)|shall|did)\b(?!-)"
)
_BETTER = (
    r"(?:better|worse|best|worst|bad|fairer|safer|cheaper|healthier|preferable|superior|inferior|"
    r"unfair)(?=\s*(?:[.!?;]|$)|\s+(?:for|than|because|since|in|to|by|on|if|overall)\b)"
)
_NOUN = (
    "series|species|news|gas|bias|lens|atlas|canvas|jobs|sales|savings|sports|goods|arms|systems|"
    "rights|drugs|games|works|weapons|veterans|seniors|kids|parents|students|workers|"
    "vitamins|cells|grades|means(?= (?:test|to|of|for)\\b)"
)
_VERB = rf"(?!(?:{_NOUN})\b)[a-z]{{2,}}(?<![sui])(?<!ic)s\b(?![-'\u2019])"
_PAST = (
    r"(?:gave|made|took|came|went|kept|led|brought|became|won|meant|[a-z]+ed (?:the|an?|more|fewer|"
    r"less|many|most|some|all|lives|them|us|everyone|no|our|their))\b"
)
_ADVERB = (
    r"(?:(?!(?:family|bully|supply|reply|assembly|monopoly|rally|ally|fly)\b)[a-z]+ly|also|still|"
    r"just|always|never|only|alone|better)\s+"
)
_STRICT = rf"(?=\s*[,:;!?)\]]|\.(?!\.)|\s+(?i:{_LINK}))"
_LOOSE = rf"(?=(?i:{_END}|\s+(?:{_PLACE}|{_BETTER}|(?:{_ADVERB})?(?:{_LINK}|{_VERB}|{_PAST}))))"
_OPEN = rf"[(\[{_QUOTES}]?"
_NAMED = re.compile(
    rf"\b(?:[Tt]he )?(?:(?i:options?) {_OPEN}(?P<x>[AB12](?![.,]?\d))|"
    rf"(?i:options?) {_OPEN}(?P<y>[ab])|"
    rf"(?i:choice|answer|outcome|side|letter|vote for|vote) {_OPEN}(?P<z>[AB]|[ab]{_STRICT}))\b"
    rf"[)\]{_QUOTES}]?|\b(?:[Tt]he )?(?P<v>[AB]) (?:option|outcome)\b|"
    r"\b[Tt]he (?:(?P<w>[AB]) (?:one|choice|alternative|side)|"
    r"(?P<place>first|second) (?:option|outcome|alternative))\b"
)
# A letter on its own names an option at the start of a clause or after one of these words; after
# any other word it is part of a name: hepatitis B, vitamin A, plan B.
_WORDS = (
    "and or but than then so that because if for to with over against choose chose choosing "
    "pick picked picking prefer preferred preferring support supporting take favor favour want "
    "say like unlike all both between of in is be think believe feel know find says said when "
    "where while since as by from about without unless whether only even not never would should "
    "could will can does do did why how versus vs plus under gives give makes make oppose "
    "reject overall therefore thus hence still also maybe perhaps yes no again here now instead"
)
_MID = rf"(?:(?<=[,/])\s*|\b(?i:{'|'.join(_WORDS.split())}|\w+ly)\s+){_OPEN}"
_START = rf"(?:^|[.:;!?(\[]|(?<!\w)[{_QUOTES}])\s*"
_ALONE = r"(?=[ABab]\b(?!-\w))"
_BARE = re.compile(
    rf"(?P<lead>{_MID}{_ALONE}(?=[AB]\s+[a-z0-9]|[AB]{_LOOSE}|[ab]{_STRICT})|"
    rf"{_START}{_ALONE}(?=[AB]{_LOOSE}|[ab]{_STRICT}))(?P<x>[ABab])"
)
_BEATEN = re.compile(rf"(?P<lead>[\ue000\ue001] (?i:(?:{_ADVERB})?{_VERB}) )(?P<x>[AB])\b(?!-\w)")
_LABELS = {"A": "A", "1": "A", "FIRST": "A", "B": "B", "2": "B", "SECOND": "B"}
# Private-use characters, absent from cleaned text, stand for the labels until all are found.
_MARKS = {"A": "\ue000", "B": "\ue001"}
_HEADS = {"A": "\ue002", "B": "\ue003"}


def clean(text: str, letter: str, limit: int = MAX_CHARACTERS) -> str:
    """One line of plain prose, at most `limit` characters; empty when nothing is left.

    `letter` is the label ("A" or "B") of the speaker's own option in the prompt; names of letters
    turn into "this option" and "the other option", which are valid in any presentation order.
    """
    names = {label: "this option" if label == letter else "the other option" for label in "AB"}
    return named(text, names, limit, spoken_for=letter)


def named(
    text: str, names: Mapping[str, str], limit: int = MAX_CHARACTERS, spoken_for: str | None = None
) -> str:
    """As `clean`, with the words that stand for the letters A and B given.

    A and B are treated alike: swapping them both in the text and in `names` gives the same result.
    A letter that might be the article, or is part of a name, stays. spoken_for: the letter of the
    option the text argues for, which is dropped at the head of the text.
    """
    # Nobody hears more than `limit` characters; text far beyond that need not be read.
    text = _one_line(_without_tokens(text[: 8 * limit]))
    text = _HEAD.sub(lambda match: f" {_HEADS[_label(match)]} ", _ROLE.sub(" ", text))
    text = _NAMED.sub(lambda match: _MARKS[_label(match)], " ".join(text.split()))
    for pattern in (_BARE, _BEATEN):
        text = pattern.sub(lambda match: match["lead"] + _MARKS[_label(match)], text)
    for label, words in names.items():
        text = text.replace(_HEADS[label], "" if label == spoken_for else f"{words}: ")
        text = text.replace(_MARKS[label], words)
    text = " ".join(text.split()).strip(" -\"'")
    return _cut(text, limit) if any(character.isalnum() for character in text) else ""


def _label(match: re.Match[str]) -> str:
    """The label that a match names."""
    said = (word for name, word in match.groupdict().items() if name != "lead" and word)
    return _LABELS[next(said).upper()]


def _without_tokens(text: str) -> str:
    before = None
    while before != text:
        before, text = text, _TOKEN.sub(" ", text)
    return _MARKUP.sub(" ", text)


def _one_line(text: str) -> str:
    """Control, format and unassigned characters become blanks, any run of white space one blank."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(plain.split())


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(" ,;:-") or text[:limit]
