"""Adapting requests to an endpoint: dropping or lowering parameters that the server refuses.

A refusal is recognised from the server's own message and the parameter it names, never from the
copy of the request that some servers send back. A refusal that is not recognised here is not
guessed at: it stops the run, with the server's message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

TOP = 20
_FEWER = 5
_COLDEST = 0.01
_MOST_LEAST = 256


class Wanted(NamedTuple):
    """A request: temperature, longest answer, seed; scored: with label probabilities."""

    temperature: float
    tokens: int
    seed: int
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """How requests are sent to an endpoint.

    temperature, seed, logprobs, system: whether it accepts them. coldest: lowest accepted
    temperature.
    top: how many of the most likely tokens it lists at most. length: which of the parameter names
    for the longest answer is in use; the last choice is none. least, most: bounds of its value.
    """

    temperature: bool = True
    coldest: float = 0.0
    seed: bool = True
    logprobs: bool = True
    top: int = TOP
    length: int = 0
    least: int = 1
    most: int | None = None
    system: bool = True


class Refusal(NamedTuple):
    """Why a server refused a request: its message, and the parameter it names, if any."""

    text: str
    parameter: str = ""


class Adapted(NamedTuple):
    """The adapted manner after a refusal, and what it means for the answers."""

    manner: Manner
    note: str


_CONTEXT = re.compile(r"context|prompt is too long|input tokens|too many tokens")
_BOUND = re.compile(
    r"at most|at least|less than|lower than|greater than|more than|maximum|minimum|\bmax\b|between|"
    r"range|exceed|larger|too (large|small|big|high|low|many)|up to|below|above|<=|>=|\u2264|\u2265"
)
_BELOW = re.compile(
    r"at least|minimum|greater than or equal|too (small|low)|below|>=|\u2265|must be (greater|more)"
)
_SYSTEM = re.compile(
    r"(system|developer)\W*(role|message|prompt|instruction)s?|"
    r"roles?\W.{0,40}\b(system|developer)\b|\b(system|developer)\b.{0,40}\brole|"
    r"roles? must alternate|alternate user|alternating|messages?\W{0,2}0\W{0,2}\.?role|"
    r"support\w* \W?(system|developer)\b|"
    r"(only|be|expected|one of)\W{0,6}\W?user\W{0,3} (or|and) \W?(assistant|model)|"
    r"user\W{1,6}assistant\W{0,3} roles"
)
# A number on its own: not part of a version, a name or a longer number.
_NUMBER = re.compile(r"(?<![\w.\-])(\d{1,6})(?![\w\-]|\.\d)")


def adapted(refusal: Refusal, wanted: Wanted, manner: Manner, *, system: bool) -> Adapted | None:
    """What to change after a refusal; None for a refusal that is not recognised.

    system: whether the conversation has a system message.
    """
    text = " ".join(refusal.text.casefold().split())
    if _CONTEXT.search(text):
        return None
    named = refusal.parameter.casefold()
    for words, change in _KNOWN:
        if named and re.search(words, named):
            found = change(text, wanted, manner)
            return found if found is not None and found.manner != manner else None
    if manner.system and system and (_SYSTEM.search(text) or re.search(_ROLE, named)):
        return _without_system(manner)
    for words, change in _KNOWN:
        if re.search(words, text):
            found = change(text, wanted, manner)
            if found is not None and found.manner != manner:
                return found
    return None


def _numbers(text: str) -> list[int]:
    return [int(digits) for digits in _NUMBER.findall(text)]


def _logprobs(text: str, wanted: Wanted, manner: Manner) -> Adapted | None:
    if not wanted.scored or not manner.logprobs:
        return None
    fewer = [n for n in _numbers(text) if 0 < n < manner.top]
    if _BOUND.search(text) and (fewer or manner.top > _FEWER):
        strictly = re.search(r"(less|lower) than (?!or)", text) is not None
        top = max(fewer) - (strictly and max(fewer) > 1) if fewer else _FEWER
        return Adapted(
            replace(manner, top=top),
            f"lists {top} likely tokens at most: a label beyond them is not seen",
        )
    return Adapted(
        replace(manner, logprobs=False),
        "refuses log-probabilities: answers are sampled and counted instead",
    )


def _length(text: str, wanted: Wanted, manner: Manner) -> Adapted | None:
    numbers = _numbers(text)
    if _BELOW.search(text):
        least = [n for n in numbers if max(wanted.tokens, manner.least) < n <= _MOST_LEAST]
        if least:
            note = f"takes no limit under {min(least)} tokens: answers may be that long"
            return Adapted(replace(manner, least=min(least)), note)
    elif _BOUND.search(text):
        most = [n for n in numbers if manner.least <= n < wanted.tokens]
        if most:
            note = f"takes no limit over {max(most)} tokens: longer answers are cut there"
            return Adapted(replace(manner, most=max(most)), note)
    else:
        note = "takes another word for the longest answer, or none: an answer may then be long"
        return Adapted(replace(manner, length=manner.length + 1), note)
    return None


def _seed(text: str, wanted: Wanted, manner: Manner) -> Adapted:
    note = "refuses seeds: sampled answers cannot be drawn a second time"
    return Adapted(replace(manner, seed=False), note)


def _temperature(text: str, wanted: Wanted, manner: Manner) -> Adapted | None:
    if wanted.temperature < _COLDEST and re.search(r"positive|greater than|> ?0|above 0", text):
        note = f"refuses temperature 0: {_COLDEST} stands in its place"
        return Adapted(replace(manner, coldest=_COLDEST), note)
    if re.search(r"between|range|at most|less than|<=|\u2264|too (high|large)", text):
        return None
    note = "refuses a temperature: answers are drawn at the model's own, most often 1"
    return Adapted(replace(manner, temperature=False), note)


def _without_system(manner: Manner) -> Adapted:
    note = "refuses the system role: its text stands at the head of the user's turn"
    return Adapted(replace(manner, system=False), note)


_ROLE = r"\brole\b|^system|messages?\W{0,2}0"
_KNOWN: tuple[tuple[str, Callable[[str, Wanted, Manner], Adapted | None]], ...] = (
    (r"log_?probs?\b|log-?probabilit|response_?logprobs", _logprobs),
    (r"max_?(completion_|output_|new_)?_?tokens|maxoutputtokens|num_predict|max tokens", _length),
    (r"\b(random_?)?seed\b", _seed),
    (r"\btemperature\b", _temperature),
)
