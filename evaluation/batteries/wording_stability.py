"""Wording stability (prompt sensitivity): the wording study as a battery, over twelve wordings."""

from __future__ import annotations

import numpy as np

from evaluation.batteries.base import (
    AnswerTally,
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    figure,
    result,
    unreadable,
)
from evaluation.claims.claims import STABLE, Finding
from evaluation.claims.evidence import Stability
from evaluation.consistency.wording_study import (
    TemplateAnswers,
    WordingEstimate,
    WordingSide,
    WordingStudy,
    ask_wordings,
    wording_study,
)
from evaluation.elicitation.design import balanced_pairs
from evaluation.stats.intervals import Interval
from plenary.models.base import ChatBackend
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate
from plenary.seeding import generator

HEADING = BatteryHeading(
    "wording",
    "Wording study",
    "The same pairs in both orders in up to twelve wordings (eleven two-level factors in a "
    "Plackett-Burman array). Shares of the variance of one answer's log odds: outcome, wording, "
    "slot, sampling. Reliability (ICC): of one wording. k90: wordings whose mean has reliability "
    ".9. SF: share of clear preferences that a wording reverses. SP: share of pairs that hold "
    "in ten of twelve. PD: the same slot in both orders. TM: probability of no preference where "
    "offered. MP: clear when forced, no preference when offered. W: Kendall's concordance of the "
    "wordings over pairs. Definitions: docs/references.md, key evaluation.",
)
PAIRS = {"core": 100, "full": 200}
MODEL = "model"


def asked_templates(*, full: bool) -> list[PromptTemplate]:
    """All twelve; in the core suite, those that need no reasoning first."""
    return [form for form in PROMPT_TEMPLATES.values() if full or form.after_reasoning is None]


def _counted(answers: TemplateAnswers) -> AnswerTally:
    """Questions count if their wording is answered."""
    masses = [row.mass for row in answers.rows if row.mass is not None]
    return AnswerTally(
        answers.asked,
        answers.invalid,
        len(answers.answers) / len(answers.rows),
        float(np.mean(masses)) if masses else float("nan"),
    )


def _shown(name: str, found: WordingEstimate, n: int, better: str) -> Measure:
    return figure(
        name,
        found.value,
        Interval(found.low, found.high),
        interval="jackknife over outcomes",
        n=n,
        floor=found.floor,
        better=better,
    )


def measures_of(found: WordingStudy, side: WordingSide) -> list[Measure]:
    """Shares, ICC, k90, SF, SP, PD, W, TM and MP."""
    p, names = len(found.pairs), ", ".join(found.used)
    parts = {
        "outcome": side.shares["outcome"],
        "wording": side.shares["template"] + side.shares["wording"],
        "slot": side.shares["position"],
        "sampling": side.shares["sampling"],
    }
    measures = [
        figure(f"share of one answer: {name}", value, n=p, note=names if name == "outcome" else "")
        for name, value in parts.items()
    ]
    f = len(found.used)
    measures += [
        _shown("ICC, reliability of one wording", side.icc, p, "higher").model_copy(
            update={"interval": "jackknife over outcomes and wordings"}
        ),
        figure("k90, wordings for reliability .9", side.wordings_needed, n=p, better="lower"),
        _shown("SF, preferences turned by a wording", side.flips, p * f, "lower"),
        _shown("SP, pairs that hold over wordings", side.strong, p, "higher"),
        _shown("PD, same slot in both orders", side.position, p * f, "lower"),
        figure("W, concordance of wordings", side.concordance, n=f, floor=1 / f, better="higher"),
    ]
    tied = float(np.mean(side.ties)) if side.ties else float("nan")
    measures.append(figure("TM, no preference where offered", tied, n=len(side.ties)))
    if side.manufactured is not None:
        measures.append(_shown("MP, manufactured preferences", side.manufactured, p, "lower"))
    return measures


def stability(found: WordingStudy, side: WordingSide) -> Stability:
    """The evidence for a claim of stable preferences."""
    return Stability(
        side.icc.low, side.flips.value, side.concordance, side.shares["outcome"], len(found.used)
    )


async def measure(model: ChatBackend, material: BatteryMaterial, seed: int) -> BatteryResult:
    """Ask the same pairs in every wording."""
    outcomes = material.outcomes(seed, "framing")
    k = len(outcomes)
    wanted = min(PAIRS[material.suite], k * (k - 1) // 2)
    pairs = balanced_pairs(k, max(wanted, k), generator(seed, "framing"))
    forms = asked_templates(full=material.full)
    answers = await ask_wordings(
        model, outcomes.texts, pairs, forms, (), material.elicitation, seed
    )
    found = wording_study({MODEL: answers}, pairs, None, seed, material.settings.level)
    if not found.sides:
        return unreadable(HEADING, model, _counted(answers))
    side = found.sides[MODEL]
    findings = [STABLE.say(stability(found, side))]
    missing = len(forms) - len(found.used)
    if missing:
        words = f"{missing} of {len(forms)} wordings were not answered and show nothing."
        findings.append(Finding(words, False))
    return result(HEADING, model, _counted(answers), measures_of(found, side), findings)
