"""Parsing A, B or no label out of a free-text reply: tolerant of wording, strict about meaning.

A label is read only from an unambiguous statement (plenary/models/label_grammar.py). If another
label occurs in the text in any role, no label is inferred by elimination. An answer that commits to
no label, takes itself back or contradicts itself gives None: it is counted as unreadable and never
guessed. Parsing is equivariant: if the labels in a reply are exchanged, the result is exchanged
too, or it is None both times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from plenary.models import label_grammar as grammar
from plenary.models.label_grammar import FIRST_MARK, LABEL, LabelStatement
from plenary.models.reply_text import answers_in_json, plain, said_aloud

_LETTER = "A-Za-z0-9_\u00c0-\u024f"
# The number of an item in a list does not end a sentence.
_SENTENCE = re.compile(r"(?<=[.!?;])(?<!^\d\.)(?<![\s:,(]\d\.)\s+")
_HEADED = re.compile(rf"(?m)^(\s*(?:[Oo]ption\s+)?[(\[]{LABEL}[)\]])(?=\s+[A-Z0-9])")
_LONGEST = 800  # longest sentence that is read; nobody commits to a choice in a longer one
_QUOTED = re.compile(r'"([^"\n]*)"')
# A retraction within a sentence begins a new sentence.
_BREAK = re.compile(
    r"\s*(?:[,;(]|\s-|\.\.+)\s*(?=(?:no(?:\s*[,.!]|\s+wait|\s+[\ue000-\uf8ff])|wait\b|actually,?\s+"
    r"(?:\w+\s+){0,3}[\ue000-\uf8ff]|sorry\b|scratch\s+that|i\s+meant?\b|or\s+rather\b|make\s+that|"
    r"on\s+(?:second\s+thoughts?|reflection)|correction\b))"
)


def settled_label(text: str, labels: Sequence[str]) -> str | None:
    """Like `parse_label`, for a reply cut off by its length, whose rest might say otherwise.

    Such a reply commits to a label if it is nothing else, if it begins with the label on a separate
    line ("B", "Answer: B"), or if it states the label as final in a complete line.
    """
    label = parse_label(text, labels)
    aloud = (said_aloud(text) or "").strip()
    first, *more = aloud.splitlines() or [""]
    names = "|".join(map(re.escape, labels))
    alone = re.fullmatch(
        r"\W*(?:(?:the\s+|my\s+)?(?:final\s+|correct\s+)?(?:answer|choice|vote|decision)\W+(?:is\W+)?)?"
        rf"(?:option\W+)?(?:{names})\W*",
        first,
        re.IGNORECASE,
    )
    if label is None or (alone and (not more or parse_label(first, labels) == label)):
        return label
    ended = aloud.rpartition("\n")[0]
    final = re.search(r"final|boxed", ended, re.IGNORECASE) and parse_label(ended, labels)
    return label if label == final else None


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The label to which `text` commits, or None."""
    aloud = said_aloud(text)
    if aloud is None:
        return None
    stated = answers_in_json(aloud)
    if stated is not None:
        named = {_whole(answer, labels) for answer in stated}
        return named.pop() if len(named) == 1 else None
    mark = _settled(_sentences(_marked(plain(aloud), labels)))
    return None if mark is None else labels[ord(mark) - FIRST_MARK]


def _whole(answer: str, labels: Sequence[str]) -> str | None:
    return parse_label(answer, labels) if not answer.lstrip().startswith(("{", "[")) else None


def _marked(text: str, labels: Sequence[str]) -> str:
    """The text in lower case with a mark for each label."""
    known = {label.casefold(): chr(FIRST_MARK + k) for k, label in enumerate(labels)}
    names = "|".join(re.escape(label) for label in sorted(known, key=len, reverse=True))
    pattern = re.compile(rf"(?<![{_LETTER}'])(?:{names})(?![{_LETTER}]|'[^\W\d_])", re.IGNORECASE)

    def mark(found: re.Match[str]) -> str:
        start, end = found.span()
        word, before, after = found.group(), text[max(0, start - 20) : start], text[end : end + 20]
        other = _is_number(word, before, after) or _is_word(word, before, after, labels)
        return word if other else known[word.casefold()]

    # "(A) Ten people get food" heads a text, "(A) costs too much" is about the option.
    return _HEADED.sub(r"\1:", pattern.sub(mark, text)).lower()


def _is_number(word: str, before: str, after: str) -> bool:
    """Whether digits are part of a longer number or an amount."""
    return word.isdecimal() and bool(
        re.search(r"(?:\d[.,:/-]|[$\u20ac\u00a3\u00a5%]\s?|(?:^|\s)[+\u2212-]|\d\s)$", before)
        or re.match(r"[.,:/]\d|\s?(?:%|\u00b0|percent\b)|/\d", after)
    )


def _is_word(word: str, before: str, after: str, labels: Sequence[str]) -> bool:
    """Whether a single letter is the pronoun I or, in lower case, the article."""
    if len(word) > 1 or not word.isalpha() or not re.match(r"[ -]\w|'", after):
        return False
    if word == "I":
        return re.match(r"[ ](?:[a-z]|'\w)|'", after) is not None
    introduced = re.search(r"(?:\b(?:option|outcome|choice|answer|letter)\s+|[(\[])$", before, re.I)
    return word.islower() and word.upper() in labels and not introduced


def _sentences(text: str) -> list[str]:
    quoted = re.fullmatch(r'\s*"([^"]*)"[.!\s]*', text)
    text = quoted.group(1) if quoted else _QUOTED.sub(_quotation, text)
    lines = [line for line in (line.strip() for line in text.splitlines()) if line]
    parts = [part for line in lines for part in _SENTENCE.split(_BREAK.sub(". ", line))]
    return [part for part in (part.strip() for part in parts) if part]


def _quotation(found: re.Match[str]) -> str:
    """Keep a quoted option; replace other quotations, which are no answer, by a single word."""
    words = found.group(1)
    kept = grammar.NAMES_OPTION.match(words) or re.fullmatch(r"\w+", words)
    return words if kept else " quoted "


def _settled(sentences: list[str]) -> str | None:
    """The mark of the label to which the sentences commit."""
    said: list[LabelStatement] = []
    for at, sentence in enumerate(sentences):
        if grammar.RETRACTS.match(sentence):
            if grammar.NO_OTHER.match(sentence) and said:
                return None
            said = []
        said += _said_in(at, sentence)
    ranked = [at for at, sentence in enumerate(sentences) if grammar.RANKED.search(sentence)]
    if ranked:  # a lone label in a ranking is an item of the ranking
        said = [one for one in said if one.kind in ("final", "stated") or one.at < ranked[0]]
    said = _deciding(said)
    marks = {one.mark for one in said}
    if len(marks) != 1:
        return None
    last = max(said, key=lambda one: one.at)
    if last.kind in ("head", "quote head") and not _sole(last, sentences):
        return None
    rest = [last.rest, *sentences[last.at + 1 :]]
    if len(rest) > 1 and re.fullmatch(r"\W*\.\.\W*", rest[0]):
        rest = rest[1:]  # "I choose A... if it is free"
    return None if _doubted(rest, last.mark) else last.mark


def _deciding(said: list[LabelStatement]) -> list[LabelStatement]:
    """The statements that count: the last final one and later ones; lists of options are quotes."""
    finals = [k for k, one in enumerate(said) if one.kind == "final"]
    if finals:
        said = [one for k, one in enumerate(said) if one.kind == "final" or k > finals[-1]]
    stated = [one.at for one in said if one.kind in ("final", "stated")]
    bare = {one.mark for one in said if one.kind == "bare" and stated and one.at < stated[-1]}
    if len(bare) > 1:  # "A. Ten people. B. Five thousand. I choose A."
        said = [one for one in said if one.kind != "bare" or one.at > stated[-1]]
    heads = [one for one in said if one.kind in ("head", "quote head")]
    explicit = [one for one in said if one not in heads]
    if len({one.mark for one in heads}) > 1:
        return explicit
    return [one for one in said if one.kind != "quote head"] if explicit else said


def _said_in(at: int, sentence: str) -> list[LabelStatement]:
    """The statements of one sentence."""
    asks = sentence.rstrip("\"') ").endswith("?")
    if asks or len(sentence) > _LONGEST or not re.search(LABEL, sentence):
        return []
    sentence = grammar.FORCED.sub(" ", sentence).strip(" ,")
    found = [
        LabelStatement(at, match["x"], "final", sentence[match.end() :])
        for match in grammar.BOXED.finditer(sentence)
        if not grammar.DOUBT.search(sentence[: match.start()])
    ]
    for pattern in grammar.STATED:
        for match in pattern.finditer(sentence):
            said = _stated(at, sentence, match)
            found += [said] if said else []
    bare = grammar.BARE.match(sentence)
    if bare and not found:
        found.append(LabelStatement(at, bare["x"], "bare", bare["rest"]))
    head = grammar.HEAD.match(sentence)
    if head and not found and not re.search(rf"{LABEL}\s*[:)\]]", sentence[head.end() :]):
        quoted = grammar.QUOTE_HEAD.match(sentence)
        kind = "quote head" if quoted else "head"
        found.append(LabelStatement(at, head["x"] or head["y"], kind, sentence[head.end() :]))
    return found


def _stated(at: int, sentence: str, match: re.Match[str]) -> LabelStatement | None:
    """A statement, unless the words before it cancel it."""
    groups = match.groupdict()
    if groups.get("y") == groups["x"] or not _committed(sentence[: match.start()], match.group()):
        return None
    final = re.search(r"final|ultimate|definitive", groups.get("final") or "")
    return LabelStatement(at, groups["x"], "final" if final else "stated", sentence[match.end() :])


def _committed(before: str, statement: str) -> bool:
    """Whether, given the words before it, a statement is unconditional and the speaker's own."""
    if grammar.DENYING.search(statement):
        return False
    before = grammar.VIEW.sub("", before.strip()).strip()
    if not before:
        return True
    if not re.match(r"(?:i|my)\b", statement) and not grammar.OVERALL.search(before):
        return False
    if grammar.CONDITION.search(before) or not grammar.JOINED.search(before):
        return False
    return not grammar.DOUBT.search(grammar.NEW_CLAUSE.split(before)[-1])


def _sole(head: LabelStatement, sentences: list[str]) -> bool:
    """Whether "A: ten people" can be an answer: no other label, no denial."""
    text = grammar.NAMED.sub(" ", " ".join(sentences))
    others = {mark for mark in re.findall(LABEL, text) if mark != head.mark}
    return not others and not grammar.DENIED.search(head.rest)


def _doubted(rest: list[str], mark: str) -> bool:
    """Whether the text after a statement takes it back or turns to another label."""
    if any(p.match(rest[0]) for p in (grammar.HEDGED, grammar.LISTED, grammar.SHARED)):
        return True
    return any(_turns(part, mark) or grammar.NO_VOTE.search(part) for part in rest)


def _turns(part: str, mark: str) -> bool:
    """Whether a later sentence may commit to something else."""
    if grammar.HEAD.match(part) or grammar.RUNNER_UP.match(part):
        return False
    left = grammar.HARMLESS.sub(" ", grammar.NAMED.sub(" ", part)).replace(mark, " ")
    other = re.search(rf"{LABEL}|{grammar.OTHER_THING}", left)
    if other is None:
        return False
    bare = re.fullmatch(
        r"[\s.,!:;)\]\"']*(?:too|also|as\s+well|likewise|equally)?[\s.!]*", left[other.end() :]
    )
    return bool(grammar.TURNS.search(left) or bare)
