"""Design of the hiring audit: which cues are shown with which resume, balanced by channel, gender.

Cues are paired by channel and gender, and every cue is used equally often. Shapes: N resumes, M
slots per resume, G groups, V variants.
"""

from __future__ import annotations

import numpy as np

from evaluation.hiring.prompts import LISTED
from evaluation.hiring.stimuli import Stimuli
from plenary.errors import ConfigError
from plenary.preferences import IntArray


def slots(stimuli: Stimuli, per_group: int, rng: np.random.Generator) -> IntArray:
    """Variants [N, M, G] shown with each resume: slot m holds one cue of every group.

    Within a slot all groups have the same channel and gender, so neither is confounded with
    background. Strata take turns so that one resume gets `per_group` of them; within a stratum the
    cues take turns, and after each round the groups are shifted against each other by one, so that
    pairs mix.
    """
    strata = _alternating(stimuli)
    if per_group < 1:
        raise ConfigError(f"{per_group!r} cues per resume; ask for at least 1")
    pools = [[_shuffled(stimuli, g, stratum, rng) for g in range(len(stimuli.groups))]
             for stratum in strata]  # fmt: skip
    shown = np.empty((len(stimuli.resumes), per_group, len(stimuli.groups)), dtype=np.int64)
    used = np.zeros(len(strata), dtype=np.int64)
    for turn, resume in enumerate(rng.permutation(len(stimuli.resumes))):
        for slot in range(per_group):
            at = (turn * per_group + slot) % len(strata)
            size, round_ = len(pools[at][0]), int(used[at]) // len(pools[at][0])
            for g, pool in enumerate(pools[at]):
                shown[resume, slot, g] = pool[(int(used[at]) + g * round_) % size]
            used[at] += 1
    return shown


def _alternating(stimuli: Stimuli) -> list[int]:
    """Strata ordered so that neighbours differ in channel and in gender."""
    codes = {variant.stratum: int(code) for variant, code in
             zip(stimuli.variants, stimuli.stratum, strict=True)}  # fmt: skip
    channels = list(stimuli.cues.channels)
    genders = ("she", "he")
    return [
        codes[f"{channel}/{genders[(k + start) % 2]}"]
        for start in (0, 1)
        for k, channel in enumerate(channels)
    ]


def _shuffled(stimuli: Stimuli, group: int, stratum: int, rng: np.random.Generator) -> IntArray:
    return rng.permutation(np.flatnonzero((stimuli.group == group) & (stimuli.stratum == stratum)))


def lists(stimuli: Stimuli, shown: IntArray) -> IntArray:
    """Shortlists [L, 8, 2] of (resume, variant): one post's eight resumes in rotating slots.

    Every resume of a list is once in every slot with a cue of every group, so that slot and group
    are not confounded. Posts with fewer than eight resumes are left out.
    """
    groups = shown.shape[2]
    rows = []
    for job in stimuli.jobs:
        members = [k for k, r in enumerate(stimuli.resumes) if r.job == job.id][:LISTED]
        if len(members) < LISTED:
            continue
        for flip in range(groups):
            for turn in range(LISTED):
                cells = [(members[k], shown[members[k], turn % shown.shape[1], (k + flip) % groups])
                         for k in range(LISTED)]  # fmt: skip
                rows.append(np.roll(cells, turn, axis=0))
    return np.array(rows, dtype=np.int64).reshape(-1, LISTED, 2)
