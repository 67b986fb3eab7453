"""Reading a label out of free text: tolerant of wording, strict about meaning.

An answer that names no label, or names several without settling on one, is None: it is counted as
unreadable and never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_LETTER = "A-Za-z0-9\u00c0-\u024f"
_MARKUP = re.compile(r"[*_`~#>\"\u201c\u201d\u00ab\u00bb\\$]+|</?\w+>")
_BRACKETED = re.compile(r"[(\[{]\s*(\S{1,20}?)\s*[)\]}]")
_NOUN = r"(?:final\s+)?(?:answer|choice|option|outcome|response|preference|vote|decision)"
_VERB = (
    r"(?:choose|chose|pick|prefer|select|vote(?:\s+for)?|go(?:ing)?\s+with|opt\s+for|favou?r|take)"
)
_LINK = (
    r"\s*(?:(?:is|was|would\s+be|will\s+be|=|:|-|\u2013|\u2014)\s*)*"
    r"(?:(?:option|outcome|choice|answer)\s+)?"
)
_NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|can't|won't|wouldn't|don't|didn't|unable|refuse|"
    r"instead of|rather than|over)\s+(?:\w+\s+){0,3}$",
    re.IGNORECASE,
)
# An "A" followed by one of these names the option; followed by another lower-case word it is the
# article.
_AFTER_A_LABEL = (
    r"because|since|as|is|was|would|will|seems|sounds|for|over|than|but|and|or|if|has|looks|may|"
    r"might|can|due|rather|instead|definitely|please|it|that|which"
)


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The one label that `text` settles on, or None."""
    plain = _plain(text)
    whole = re.fullmatch(
        rf"(?:(?:{_NOUN}){_LINK})?({_any(labels)})[\s.,:;!]*", plain, re.IGNORECASE
    )
    if whole:
        return _label(whole.group(1), labels)
    for explicit in (_declared(plain, labels, _NOUN), _declared(plain, labels, _VERB)):
        if explicit is not None:
            return explicit
    return _only_named(plain, labels)


def _plain(text: str) -> str:
    """Without reasoning block, mark-up, brackets around single words and doubled white space."""
    text = unicodedata.normalize("NFKC", text).rpartition("</think>")[2]
    text = _MARKUP.sub("", text.replace("\u2019", "'"))
    text = _BRACKETED.sub(r" \1 ", text)
    return re.sub(r"[ \t\u00a0]+", " ", text).strip()


def _any(labels: Sequence[str]) -> str:
    alternatives = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    return rf"(?<![{_LETTER}'])(?:{alternatives})(?![{_LETTER}'])"


def _label(found: str, labels: Sequence[str]) -> str:
    return next(label for label in labels if label.casefold() == found.casefold())


def _declared(text: str, labels: Sequence[str], lead: str) -> str | None:
    """The label of the last statement such as "Answer: B" or "I prefer option A".

    "option" alone only mentions: it declares when it is the only one mentioned, which
    `_only_named` decides.
    """
    pattern = re.compile(rf"\b{lead}{_LINK}({_any(labels)})", re.IGNORECASE)
    found = [
        match
        for match in pattern.finditer(text)
        if not re.match(r"(?:option|outcome)\b", match.group(), re.IGNORECASE)
        and not _is_article(text, match.start(1), match.end(1))
        and not _NEGATION.search(text[: match.start()])
        and not re.match(r"\s*(?:or|and|/)\s*" + _any(labels), text[match.end() :], re.IGNORECASE)
    ]
    settled = [match for match in found if not _open_to_doubt(text[match.end() :])]
    return _label(settled[-1].group(1), labels) if settled else None


def _open_to_doubt(rest: str) -> bool:
    """Whether a statement goes on to take itself back ("Answer: A is tempting")."""
    return bool(
        re.match(r"\s+(?:is|was|seems|looks|sounds|would|may|might)\b", rest, re.IGNORECASE)
    )


def _is_article(text: str, start: int, end: int) -> bool:
    """Whether the letter a at start..end is the English article and no label."""
    if text[start:end].casefold() != "a":
        return False
    following = re.match(r"[ -]([a-z0-9$][\w'-]*)", text[end:], re.IGNORECASE)
    return bool(following) and not re.fullmatch(_AFTER_A_LABEL, following.group(1), re.IGNORECASE)


def _only_named(text: str, labels: Sequence[str]) -> str | None:
    """The label that is named, when it is the only one and nothing is denied."""
    named = set()
    for match in re.finditer(_any(labels), text, re.IGNORECASE):
        introduced = re.search(
            r"\b(?:option|outcome|choice)\s+$", text[: match.start()], re.IGNORECASE
        )
        exact = match.group() in labels
        if not introduced and (not exact or _is_article(text, match.start(), match.end())):
            continue
        if _NEGATION.search(text[: match.start()]):
            return None
        named.add(_label(match.group(), labels))
    denied = re.search(
        r"\b(?:neither|both|either|cannot|can't|refuse|unable)\b", text, re.IGNORECASE
    )
    return named.pop() if len(named) == 1 and not denied else None
