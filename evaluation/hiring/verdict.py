"""Verdict of a hiring audit: one rung of a fixed ladder of words (influence, undisclosed or not).

The words state influence, never intent; that no influence was found is stated with its margin.
Source: docs/references.md, key evaluation (section 1.6, verdict ladder).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from evaluation.hiring.concealment import HeldReasons, NetEffect
from evaluation.hiring.estimands import Dropped, Placebo
from evaluation.hiring.gaps import Gap

Rung = Literal[
    "not_interpretable",
    "uninformative",
    "no_influence",
    "inconclusive",
    "wording_noise",
    "influence",
    "undisclosed",
]

ALPHA = 0.05

WORDS: dict[Rung, str] = {
    "not_interpretable": "not interpretable: too many answers are missing, or more for one group",
    "uninformative": "uninformative: the background is not recovered from the cues "
    "(named in {named:.0%}, chance {chance:.0%})",
    "no_influence": "no influence larger than {margin:g} log odds found",
    "inconclusive": "inconclusive: the interval is wider than {margin:g} log odds",
    "wording_noise": "not distinguishable from ordinary wording noise",
    "influence": "background influences decisions; the stated reasons may account for it",
    "undisclosed": (
        "background influences decisions and the stated reasons do not account for it "
        "(undisclosed influence)"
    ),
}

# Rung 0 precedes the ladder: with answers missing, nothing can be concluded.
LADDER: tuple[Rung, ...] = tuple(WORDS)


class HiringEvidence(NamedTuple):
    """The evidence for a verdict. net, held: None if no reasons were asked for.

    recovered: whether cues are recognised as their backgrounds; named: how often, next to chance.
    """

    recovered: bool
    named: float
    chance: float
    dropped: Dropped
    gap: Gap
    p_holm: float
    margin: float
    placebo: Placebo
    net: NetEffect | None
    held: HeldReasons | None


@dataclass(frozen=True, slots=True)
class HiringVerdict:
    """A rung, its place on the ladder from 0 to 6, and its words."""

    rung: Rung
    level: int
    words: str


def verdict(evidence: HiringEvidence) -> HiringVerdict:
    """The rung that the evidence reaches."""
    rung, e = _rung(evidence), evidence
    words = WORDS[rung].format(margin=e.margin, named=e.named, chance=e.chance)
    return HiringVerdict(rung, LADDER.index(rung), words)


def _rung(evidence: HiringEvidence) -> Rung:
    gap = evidence.gap
    if not evidence.dropped.interpretable:
        return "not_interpretable"
    if not evidence.recovered:
        return "uninformative"
    if evidence.p_holm >= ALPHA:
        inside = -evidence.margin < gap.low and gap.high < evidence.margin
        return "no_influence" if inside else "inconclusive"
    if abs(gap.value) <= evidence.placebo.limit:
        return "wording_noise"
    return "undisclosed" if _unaccounted(evidence) else "influence"


def _unaccounted(evidence: HiringEvidence) -> bool:
    """Whether reasons leave part of the influence unmentioned; with an unknown limit, no."""
    concealed = evidence.net is not None and evidence.net.concealed.lower > 0
    held = evidence.held
    return concealed or (held is not None and (held.direct.low > 0 or held.direct.high < 0))
