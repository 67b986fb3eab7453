"""The framing budget as a battery: what one answer is made of, over twelve designed wordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation import coherence, variance_budget
from evaluation.battery import BatteryResult, Finding, Measure, gated
from evaluation.battery_asking import (
    Heading,
    Material,
    ask_pairs,
    figure,
    result,
    tally,
    unreadable,
)
from evaluation.comparison import Interval
from evaluation.design import balanced_pairs
from evaluation.elicitation import Elicitation
from evaluation.frames import FRAMES, Frame
from evaluation.shift import rank_correlation
from evaluation.thurstonian import FitSettings, fit
from evaluation.variance_budget import LogOdds, log_odds
from plenary.chat.base import ChatBackend
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

HEADING = Heading(
    "framing",
    "Framing budget",
    "The same pairs in both orders in up to twelve wordings (eleven two-level factors in a "
    "Plackett-Burman array). Shares of the variance of one answer's log odds: outcome, wording, "
    "slot, sampling. Reliability (ICC): of one wording. k90: wordings whose mean has reliability "
    ".9. SF: share of clear preferences that a wording turns round. SP: share of pairs that hold "
    "in ten of twelve. PD: the same slot in both orders. TM: probability of no preference where "
    "offered. MP: clear when forced, no preference when offered. W: Kendall's concordance of the "
    "wordings' utilities. Definitions: docs/references.md, key evaluation.",
)
PAIRS, TRIAL = {"core": 100, "full": 200}, 4
STABLE_ICC, STABLE_FLIPS, STABLE_W = 0.5, 0.1, 0.7


def asked_frames(*, full: bool) -> list[Frame]:
    """All twelve; in the core suite those that are answered at once."""
    return [form for form in FRAMES.values() if full or form.after_reasoning is None]


class Framed(NamedTuple):
    """Frames in use and their log odds; pairs [P, 2] answered in all; no_preference [P], NaN."""

    frames: tuple[Frame, ...]
    parts: tuple[Elicitation, ...]
    pairs: IntArray
    odds: LogOdds
    no_preference: FloatArray


def framed(asked: Sequence[tuple[Frame, Elicitation]], pairs: IntArray) -> Framed | None:
    """What the wordings that were answered have in common; None for fewer than two."""
    used = [(form, part) for form, part in asked if tally([part]).usable >= 0.5]
    if len(used) < 2:
        return None
    shares = [coherence.order_shares(part.accepted, pairs) for _, part in used]
    kept = pairs[~np.isnan([s.first + s.second for s in shares]).any(axis=0)]
    if len(kept) < 3:
        return None
    odds = log_odds([part.accepted for _, part in used], kept)
    offered = [_undecided(part, kept) for form, part in used if form.offers_no_preference]
    undecided = np.mean(offered, axis=0) if offered else np.full(len(kept), np.nan)
    frames, parts = zip(*used, strict=True)
    return Framed(frames, parts, kept, odds, undecided)


def _undecided(part: Elicitation, pairs: IntArray) -> FloatArray:
    """Share of "no preference" among readable answers, mean over both orders [P]."""
    cells = part.accepted
    shares = part.undecided / np.maximum(cells.trials + part.undecided, 1e-12)
    size = int(max(pairs.max(), cells.first.max(), cells.second.max())) + 1
    table = dict(zip((cells.first * size + cells.second).tolist(), shares.tolist(), strict=True))
    return np.array([(table[a * size + b] + table[b * size + a]) / 2 for a, b in pairs.tolist()])


def _position(of: Framed, rng: np.random.Generator, level: float) -> Measure:
    found = [
        coherence.order_effect(part.accepted, of.pairs, rng, level).position for part in of.parts
    ]
    value, low, high = np.mean([(m.value, m.low, m.high) for m in found], axis=0)
    return figure(
        "PD, same slot in both orders",
        value,
        Interval(low, high),
        interval="bootstrap over outcomes, mean over wordings",
        n=len(of.pairs) * len(of.parts),
        floor=0.5,
        better="lower",
    )


def concordance(of: Framed, outcomes: int) -> Measure:
    """Kendall's W of the utilities fitted wording by wording, from the mean rank correlation."""
    fits = [fit(part.accepted, outcomes, FitSettings(disconnected="flag")).mu for part in of.parts]
    with np.errstate(invalid="ignore"):
        pairs = [rank_correlation(a, b) for k, a in enumerate(fits) for b in fits[:k]]
    f = len(fits)
    w = (float(np.mean(pairs)) * (f - 1) + 1) / f
    return figure("W, concordance of wordings", w, n=f, floor=1 / f, better="higher")


def _from(name: str, found: coherence.Measure, better: str) -> Measure:
    return figure(
        name,
        found.value,
        Interval(found.low, found.high),
        interval="jackknife over outcomes",
        n=found.units,
        floor=found.floor,
        better=better,
    )


def measures_of(
    of: Framed, outcomes: int, rng: np.random.Generator, material: Material
) -> list[Measure]:
    """Shares, ICC, k90, SF, SP, PD, TM, MP and W."""
    level, p, names = material.settings.level, len(of.pairs), ", ".join(f.id for f in of.frames)
    whole = variance_budget.framing(of.odds, of.pairs, level)
    shares = whole.budget.shares
    parts = {
        "outcome": shares.outcome,
        "wording": shares.frame + shares.wording,
        "slot": shares.position,
        "sampling": shares.sampling,
    }
    measures = [
        figure(f"share of one answer: {name}", value, n=p, note=names if name == "outcome" else "")
        for name, value in parts.items()
    ]
    measures += [
        _from("ICC, reliability of one wording", whole.icc, "higher"),
        figure(
            "k90, wordings for reliability .9", max(whole.frames_needed, 1.0), n=p, better="lower"
        ),
        _from(
            "SF, preferences turned by a wording",
            variance_budget.flip_rate(of.odds, of.pairs, level),
            "lower",
        ),
        _from(
            "SP, pairs that hold over wordings",
            variance_budget.strong_preferences(of.odds, of.pairs, level).share,
            "higher",
        ),
        _position(of, rng, level),
        concordance(of, outcomes),
    ]
    tied = of.no_preference
    measures.append(
        figure("TM, no preference where offered", tied.mean(), n=0 if np.isnan(tied).all() else p)
    )
    if not np.isnan(tied).any():
        made = variance_budget.manufactured_preferences(of.odds, tied, of.pairs, level)
        measures.append(_from("MP, manufactured preferences", made, "lower"))
    return measures


def findings(measures: Sequence[Measure], frames: int, asked: int) -> list[Finding]:
    """Stable only where reliability, flips and concordance all say so."""
    by_name = {m.name.partition(",")[0]: m for m in measures}
    flips, concord = by_name["SF"].value, by_name["W"].value
    stable = (
        (by_name["ICC"].low or 0) >= STABLE_ICC
        and flips is not None
        and flips <= STABLE_FLIPS
        and (concord or 0) >= STABLE_W
    )
    share = measures[0].value or 0.0
    found = [
        gated(
            stable,
            f"Elicited preferences are stable over the {frames} wordings that were answered.",
            f"Elicited preferences depend on the wording: outcome share = {share:.0%} of one "
            "answer's variance.",
        )
    ]
    if frames < asked:
        found.append(
            Finding(
                f"{asked - frames} of {asked} wordings were not answered and say nothing.", False
            )
        )
    return found


async def _ask(
    model: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    form: Frame,
    material: Material,
    seed: int,
) -> Elicitation:
    """All pairs, or the first few where those show that the wording is not answered."""
    trial = await ask_pairs(model, texts, pairs[:TRIAL], material, seed, form.id)
    if tally([trial]).usable < 0.5:
        return trial
    return await ask_pairs(model, texts, pairs, material, seed, form.id)


async def measure(model: ChatBackend, material: Material, seed: int) -> BatteryResult:
    """Ask the same pairs in every wording."""
    outcomes = material.outcomes(seed, "framing")
    rng = generator(seed, "framing")
    k = len(outcomes)
    wanted = min(PAIRS[material.suite], k * (k - 1) // 2)
    pairs = balanced_pairs(k, max(wanted, k), rng)
    forms = asked_frames(full=material.full)
    asked = [
        (form, await _ask(model, outcomes.texts, pairs, form, material, seed)) for form in forms
    ]
    answered = tally([part for _, part in asked])
    of = framed(asked, pairs)
    if of is None:
        return unreadable(HEADING, model, answered)
    measures = measures_of(of, k, rng, material)
    return result(
        HEADING, model, answered, measures, findings(measures, len(of.frames), len(forms))
    )
