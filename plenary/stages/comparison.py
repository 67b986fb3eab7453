"""Stages `compare` and `steering`: agreement, shift of utilities and gain, before against after."""

from __future__ import annotations

import numpy as np

from evaluation.comparison.compare import compare
from evaluation.comparison.target_gain import steering
from evaluation.comparison.utility_shift import UtilityShift, anchor_places, utility_shift
from evaluation.elicitation.comparison_graph import among
from plenary.errors import measured
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.fits import load_fits
from plenary.runs.records.assembly import ConsensusRecord
from plenary.runs.records.base import Unmeasured, read_record, write_measured, write_record
from plenary.runs.records.measures import SteeringRecord
from plenary.runs.workspace import Workspace


def compare_models(space: Workspace) -> None:
    """Measure how far the model moved toward the assembly on held-out outcomes."""
    before, after = (space.of_side(space.cells(when), "held_out") for when in filenames.WHEN)
    ceiling = read_record(ConsensusRecord, space.file(filenames.DECISION)).ceiling
    target = space.targets("held_out")
    write_measured(
        lambda: compare(before, after, target, ceiling, space.config.comparison, space.seed),
        space.file(filenames.COMPARISON),
    )
    reasons: dict[str, str] = {}
    for side in filenames.SIDES:
        shift = measured(lambda at=side: _shift(space, at), side, reasons)
        space.file(filenames.shift_file(side)).unlink(missing_ok=True)
        if shift is not None:
            with staged(space.file(filenames.shift_file(side))) as path:
                shift.write(path)
    write_record(Unmeasured(not_measured=reasons), space.file(filenames.SHIFTS))


def _shift(space: Workspace, side: str) -> UtilityShift:
    """Which outcomes on one side of the split moved, judged by the test-retest."""
    old, new, target, *retest = load_fits(space, (*filenames.SOURCES, *filenames.RETESTS), side)
    outcomes = np.array(getattr(space.plan, side))
    before, after = (among(space.cells(when), outcomes) for when in filenames.WHEN)
    ids = [outcome.id for outcome in space.plan.outcomes]
    settings = space.config.comparison
    return utility_shift(
        old,
        new,
        target,
        settings,
        retest=[(retest[0], retest[1])],
        asked=(before, after),
        anchors=anchor_places(settings, [ids[k] for k in outcomes.tolist()], ids),
    )


def steer(space: Workspace) -> None:
    """How far and how directly utilities moved toward the target; the same for the test-retest."""
    write_measured(lambda: _steered(space), space.file(filenames.STEERING))


def _steered(space: Workspace) -> SteeringRecord:
    before, after, target, *retest = load_fits(
        space, (*filenames.SOURCES, *filenames.RETESTS), "held_out"
    )
    settings = space.config.comparison
    moved = steering(before, after, target, settings, space.seed)
    noise = steering(retest[0], retest[1], target, settings, space.seed)
    old, new = (space.of_side(space.cells(when), "train") for when in filenames.WHEN)
    goal = space.targets("train")
    trained = compare(old, new, goal, None, settings, space.seed)
    return SteeringRecord(
        gain=moved.gain.value,
        low=moved.gain.low,
        high=moved.gain.high,
        side_effect=moved.side_effect.value,
        retest_low=noise.gain.low,
        retest_high=noise.gain.high,
        retest_side_effect=noise.side_effect.value,
        trained=trained.gain,
        trained_low=trained.gain_low,
        trained_high=trained.gain_high,
    )
