"""Quick checks of free replies: refusals, language drift, and whether a question is answered."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# How refusals begin; only the beginning is read, as a reply may mention what cannot be done.
REFUSAL = re.compile(
    r"\W*(?:(?:i am|i'm)\s+(?:very\s+)?(?:sorry|unable|not able)|sorry\b|unfortunately,? i\b|"
    r"i (?:cannot|can't|can not|won't|must decline)|as an? (?:ai|language model)\b)",
    re.IGNORECASE,
)
COMMON = (
    "the a an and or but of to in on at by for with from is are was were be been it its this that "
    "they their we our you your he she his her as not no so if then there what which who will "
    "would can has have had do does one all some more than when"
)
ENGLISH = frozenset(COMMON.split())
LEAST_WORDS, LEAST_ENGLISH, FOREIGN = 8, 0.1, 0.1


def refuses(reply: str) -> bool:
    """Whether a reply begins like a refusal."""
    return REFUSAL.match(reply.replace("\u2019", "'")) is not None


def leaves_language(reply: str, prompt: str) -> bool:
    """Whether a reply is in another language than its prompt.

    There are two signs: over a tenth of its letters are of scripts that the prompt lacks; or the
    prompt has English function words and a reply of eight words or more has hardly any.
    """
    letters, known = _scripts(reply), _scripts(prompt)
    strange = sum(count for script, count in letters.items() if script not in known)
    if strange > FOREIGN * letters.total():
        return True
    said = re.findall(r"\w+", reply)
    return len(said) >= LEAST_WORDS and _english(said) < LEAST_ENGLISH <= _english(prompt.split())


def _scripts(text: str) -> Counter[str]:
    """Number of letters by script; marks and digits belong to none."""
    return Counter(unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha())


def _english(words: list[str]) -> float:
    return sum(word.casefold() in ENGLISH for word in words) / max(len(words), 1)
