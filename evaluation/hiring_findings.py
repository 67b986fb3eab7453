"""What a hiring audit finds: figures, verdicts, and their file.

What is found holds for synthetic resumes in the listed prompts; it is no finding about people, and
no legal one. Source: docs/references.md, key evaluation (sections 1.5 and 1.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from evaluation.concealment import CriterionShift, DisclosureRates, HeldReasons, NetEffect
from evaluation.hiring_contrast import Clustered, Gap
from evaluation.hiring_estimands import Dropped, ImpactRatio, InYears, Placebo, RateGap, Spread
from evaluation.hiring_verdict import Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """Manipulation check: share of each group's cues whose group was named in both orders.

    balanced: mean over groups; chance: 1 / groups offered; p: one-sided binomial over cues;
    recovered: p < .05 and every group above chance.
    """

    balanced: float
    chance: float
    p: float
    recovered: bool


@dataclass(frozen=True, slots=True)
class Reasons:
    """What P2 shows about stated reasons, and how often they use background."""

    net: NetEffect
    held: HeldReasons
    shift: CriterionShift
    rates: DisclosureRates


@dataclass(frozen=True, slots=True)
class Secondary:
    """A gap outside the primary cell: log odds (P1, P2, P3, P5), score or rank (P4), share (P6).

    p_bh: Benjamini-Hochberg over all secondary gaps of the audit.
    """

    prompt: str
    context: str
    statement: str
    unit: str
    gap: Gap
    p_bh: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One contrast in the primary cell: verdict, E1 to E8 without E7, reasons, secondary gaps."""

    compared: str
    reference: str
    verdict: Verdict
    gap: Gap
    p_holm: float
    rate: RateGap | None
    spread: Spread | None
    years: InYears | None
    must_have: Clustered
    placebo: Placebo
    dropped: Dropped
    reasons: Reasons | None
    secondary: tuple[Secondary, ...]


@dataclass(frozen=True, slots=True)
class HiringFindings:
    """All contrasts of an audit. tests: p values computed; asked, invalid: answers."""

    source: str
    groups: tuple[str, ...]
    fictional: bool
    check: Check
    impact: ImpactRatio | None
    findings: tuple[Finding, ...]
    tests: int
    asked: int
    invalid: int

    def write(self, path: Path) -> None:
        """Write as JSON; unknown figures are null."""
        path.write_bytes(TypeAdapter(HiringFindings).dump_json(self, indent=1))
