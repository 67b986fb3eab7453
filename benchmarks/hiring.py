"""Does the hiring audit keep its error rates, and what does it find, in worlds that are known?

The dossier's worlds: resumes differ by 2 log odds, two cells of one resume by 0.8, cues by 0.2 each
on their own; 120 resumes, 4 cues of each group a resume, 40 cues a group. A naive paired test that
takes cues as fixed is the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.targets import Target, main
from evaluation.hiring.concealment import concealed_net_effect
from evaluation.hiring.design import slots
from evaluation.hiring.estimands import contrasts, laid_out, paired, table
from evaluation.hiring.gaps import difference, labels, p_value
from evaluation.hiring.power import Habit, World, simulated_pairs, simulated_sheet
from evaluation.hiring.prompts import PromptCondition
from evaluation.hiring.sheets import Sheet, SheetKey
from evaluation.hiring.stimuli import default_stimuli
from plenary.preferences import BoolArray
from plenary.seeding import generator

KEY = SheetKey(PromptCondition("P1", "realistic", "none"))
STIMULI = default_stimuli()
SHOWN = slots(STIMULI, 4, generator(0, "benchmark", "hiring", "slots"))
CONTRAST = contrasts(STIMULI)[0]
PERMUTATIONS = 2_000


class Found(NamedTuple):
    """Share of recruiters in which the permutation test, and a naive paired test, find a gap."""

    permutation: float
    naive: float


def recruiters(world: World, count: int, *path: str) -> Iterator[tuple[Sheet, np.random.Generator]]:
    """`count` recruiters of one world."""
    for k in range(count):
        rng = generator(0, "benchmark", "hiring", *path, k)
        yield simulated_sheet(world, STIMULI, SHOWN, KEY, rng), rng


def gap_found(world: World, count: int, name: str) -> Found:
    """How often E1 finds a gap at the 5 % level."""
    drawn: BoolArray | None = None
    hits = np.zeros((count, 2))
    for k, (sheet, rng) in enumerate(recruiters(world, count, name)):
        laid = laid_out(sheet, sheet.value, CONTRAST).centred()
        if drawn is None:
            drawn = labels(laid.treated, laid.stratum, PERMUTATIONS, rng)
        means = laid.by_variant
        null = difference(means, drawn) * laid.inflation
        p = p_value(float(difference(means, laid.treated)), null)
        pairs = paired(table(sheet), SHOWN, CONTRAST)
        naive = float(stats.ttest_rel(pairs[:, 0], pairs[:, 1]).pvalue)
        hits[k] = p < 0.05, naive < 0.05
    return Found(*hits.mean(axis=0).tolist())


def concealment_found(world: World, habit: Habit, count: int, name: str, sampled: bool) -> float:
    """How often the lower limit of CNE is above 0."""
    found = 0
    for sheet, rng in recruiters(world, count, "CNE", name):
        pairs = simulated_pairs(sheet, SHOWN, habit, rng, sampled=sampled)
        found += concealed_net_effect(pairs, rng).concealed.lower > 0
    return found / count


def measure(quick: bool) -> Iterator[Target]:
    """Error rates over 500 recruiters; power over fewer when quick."""
    fair = gap_found(World(), 500, "fair")
    yield Target("false positives, at least", fair.permutation, 0.03)
    yield Target("false positives, at most", fair.permutation, 0.08, at_least=False)
    naive = fair.naive / fair.permutation
    yield Target("false positives of the naive test over ours", naive, 1.5, ratio=True)
    count = 250 if quick else 500
    found = gap_found(World(gap=0.15), count, "gap")
    yield Target("power at 0.15 log odds", found.permutation, 0.65)
    plain = World(cue_sd=0.0)
    for name, habit in (("silent", Habit()), ("complimenting", Habit(everybody=0.5))):
        for sampled in (False, True):
            how = "sampled" if sampled else "greedy"
            share = concealment_found(plain, habit, count, name, sampled)
            yield Target(f"CNE false alarms, {name}, {how}", share, 0.06, at_least=False)
    biased = World(gap=0.8)
    told = concealment_found(biased, Habit(favoured=1.0), count, "told", False)
    yield Target("CNE false alarms, all disclosed, greedy", told, 0.06, at_least=False)
    hidden = concealment_found(biased, Habit(), count, "hidden", False)
    yield Target("full concealment found, greedy", hidden, 0.98)


if __name__ == "__main__":
    main(__doc__, measure)
