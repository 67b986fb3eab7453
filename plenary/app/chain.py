"""The whole chain: the stages up to the decision, then training, measuring again and the report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from alignment.lora import check_targets
from alignment.replay import NeutralText, read_replay, write_replay
from alignment.train import align
from alignment.trainer import without_library_warnings
from alignment.training_record import TrainingRecord
from assembly.ballots import AFTER
from assembly.population_utilities import population_utilities
from evaluation.comparison import compare, target_cells
from evaluation.davidson import fit_answers
from evaluation.null_run import Halves, orders_apart, repeats_itself
from evaluation.shift import UtilityShift, anchor_places, utility_shift
from evaluation.thurstonian import UtilityFit
from plenary.app import workspace as ws
from plenary.app.config import PipelineConfig
from plenary.app.fits import load_fits
from plenary.app.measure_stages import MEASURES
from plenary.app.models import checkpoint_path
from plenary.app.neutral_text import neutral_text
from plenary.app.records import (
    ConsensusRecord,
    NullRecord,
    Unmeasured,
    read_record,
    write_measured,
    write_record,
)
from plenary.app.report import write_report
from plenary.app.run_directory import content_hash, staged
from plenary.app.stages import ASSEMBLY_STAGES, Settings, Stage, ask_model, rule_of, subject
from plenary.app.watcher import TrainingProgress
from plenary.app.workspace import Workspace
from plenary.errors import ConvergenceError, measured
from plenary.preferences import Cells, Targets
from plenary.seeding import derived_seed, generator

# The rules whose labels are shares of the population, which the strata's utilities describe.
STRATA_RULES = ("weighted_share", "multilevel_thurstonian")


def check_training(config: PipelineConfig) -> None:
    """Raise for a model without weights or the layers to adapt, and for unreadable replay text."""
    if config.alignment.replay is not None:
        read_replay(config.alignment.replay)
    with without_library_warnings():
        check_targets(checkpoint_path(config.model), config.alignment)


def train(space: Workspace) -> None:
    """Teach the model the assembly's shares on the training pairs."""
    kept = NeutralText((), "none")
    if space.config.alignment.replay_weight > 0:
        kept = neutral_text(space, "replay")
    with staged(space.file(ws.REPLAY)) as path:
        write_replay(kept.conversations, path)
    result = align(
        checkpoint_path(space.config.model),
        space.plan.texts,
        targets_of(space, "train"),
        space.config.alignment,
        space.file(ws.ADAPTER),
        derived_seed(space.seed, "align"),
        lambda step: space.watcher.training(TrainingProgress(step.step, step.steps, step.loss)),
        replay=kept.conversations,
        day=space.config.chat.day,
    )
    told = result.model_dump(exclude={"adapter"}) | {"replay": kept.origin}
    record = TrainingRecord.model_validate(told)
    write_record(record, space.file(ws.TRAINING))


def _taught(config: PipelineConfig) -> Settings:
    """How the model is trained; replay text counts by its content."""
    path = config.alignment.replay
    chosen = config.alignment.model_dump_json(exclude={"replay"})
    return (chosen, None if path is None else content_hash(path))


def targets_of(space: Workspace, side: str) -> Targets:
    """The assembly's shares on the pairs of one side of the split."""
    targets = space.consensus.targets()
    held = np.isin(targets.pairs, space.plan.held_out).all(axis=1)
    keep = held if side == "held_out" else ~held
    return Targets(targets.pairs[keep], targets.p[keep], targets.weight[keep])


def elicit_after(space: Workspace) -> None:
    """Ask the trained model about every pair."""
    ask_model(space, space.model(space.config.model, space.file(ws.ADAPTER)), "after")


def elicit_again(space: Workspace) -> None:
    """The null run of the model before: the same pairs, frames and orders once more."""
    before = space.answers("before")
    asked_again = not repeats_itself(before)
    if asked_again:
        ask_model(space, space.model(space.config.model), "again", "again")
        halves = Halves(before, space.answers("again"))
    else:
        rng, reasons = generator(space.seed, "null", "orders"), dict[str, str]()
        halves = measured(lambda: orders_apart(before, rng), "null run", reasons)
        if halves is None:
            write_record(Unmeasured(not_measured=reasons), space.file(ws.NULL))
            return
    for name, table in zip(ws.NULLS, halves, strict=True):
        with staged(space.file(f"{name}.parquet")) as path:
            table.write(path)
    cells = sum(len(table.cells) for table in halves)
    record = NullRecord(asked_again=asked_again, cells=cells)
    write_record(record, space.file(ws.NULL))


def fit_utilities(space: Workspace) -> None:
    """Fit utilities before, after, of the null run and of the assembly, by side of the split.

    Answers that do not join the outcomes of a side give no fit there; the reason is recorded.
    """
    reasons: dict[str, str] = {}
    for side in ws.SIDES:
        asked = _asked(space, side)
        ties = any(cells.undecided.any() for cells in asked.values())
        for source in (*ws.SOURCES, *ws.NULLS):
            stem = ws.fit_stem(source, side)
            work = partial(_fit_of, space, source, side, asked, ties=ties)
            fitted = measured(work, stem, reasons)
            if fitted is not None:
                fitted.save(space.file(stem))
    write_record(Unmeasured(not_measured=reasons), space.file(ws.FITS))


def _asked(space: Workspace, side: str) -> dict[str, Cells]:
    """The cells of one side, those of the null run where there is one."""
    there = [when for when in (*ws.WHEN, *ws.NULLS) if space.file(f"{when}.parquet").exists()]
    return {when: space.of_side(space.cells(when), side) for when in there}


def _fit_of(
    space: Workspace, source: str, side: str, asked: dict[str, Cells], *, ties: bool
) -> UtilityFit:
    if source == "assembly":
        return _of_assembly(space, side)
    if source in ws.NULLS:
        read_record(NullRecord, space.file(ws.NULL))
    return _pooled(space, source, asked[source], side, ties=ties)


def _pooled(
    space: Workspace, source: str, cells: Cells, side: str, *, ties: bool = False
) -> UtilityFit:
    outcomes = np.array(getattr(space.plan, side))
    local = _local(cells, outcomes)
    fitted = fit_answers(local, len(outcomes), space.config.fit, ties=ties)
    if not fitted.converged:
        raise ConvergenceError(
            f"utilities {source!r} on {side!r} outcomes did not settle in "
            f"{fitted.iterations} iterations; raise fit.max_iterations or design pairs"
        )
    return fitted


def _of_assembly(space: Workspace, side: str) -> UtilityFit:
    """The assembly's utilities on one side; outcomes of different sides never meet."""
    rule = read_record(ConsensusRecord, space.file("consensus.json")).rule
    apart = space.config.fit.disconnected == "flag"
    if space.config.dataset.utilities == "pooled" or rule not in STRATA_RULES or apart:
        cells = space.of_side(target_cells(space.consensus.targets()), side)
        return _pooled(space, "assembly", cells, side)
    held, outcomes = space.electorate(AFTER), np.array(getattr(space.plan, side))
    at = np.isin(held.pairs, outcomes).all(axis=1)
    own = replace(
        held,
        shares=held.shares[:, at],
        pairs=np.searchsorted(outcomes, held.pairs[at]),
        outcomes=len(outcomes),
    )
    return population_utilities(own, space.config.fit, space.seating.hall_of())


def _local(cells: Cells, outcomes: np.ndarray) -> Cells:
    """Cells with outcomes numbered by their position in `outcomes`, which is sorted."""
    first, second = (np.searchsorted(outcomes, side) for side in (cells.first, cells.second))
    return replace(cells, first=first, second=second)


def compare_models(space: Workspace) -> None:
    """Measure how far the model moved toward the assembly on held-out outcomes."""
    before, after = (space.of_side(space.cells(when), "held_out") for when in ws.WHEN)
    ceiling = read_record(ConsensusRecord, space.file("consensus.json")).ceiling
    target = targets_of(space, "held_out")
    write_measured(
        lambda: compare(before, after, target, ceiling, space.config.comparison, space.seed),
        space.file(ws.COMPARISON),
    )
    reasons: dict[str, str] = {}
    for side in ws.SIDES:
        shift = measured(lambda at=side: _shift(space, at), side, reasons)
        space.file(ws.shift_file(side)).unlink(missing_ok=True)
        if shift is not None:
            with staged(space.file(ws.shift_file(side))) as path:
                shift.write(path)
    write_record(Unmeasured(not_measured=reasons), space.file(ws.SHIFTS))


def _shift(space: Workspace, side: str) -> UtilityShift:
    """What moved among the outcomes of one side, judged by the null run."""
    old, new, target, *null = load_fits(space, (*ws.SOURCES, *ws.NULLS), side)
    outcomes = np.array(getattr(space.plan, side))
    before, after = (_local(space.of_side(space.cells(when), side), outcomes) for when in ws.WHEN)
    ids = [outcome.id for outcome in space.plan.outcomes]
    settings = space.config.comparison
    return utility_shift(
        old,
        new,
        target,
        settings,
        null=[(null[0], null[1])],
        asked=(before, after),
        anchors=anchor_places(settings, [ids[k] for k in outcomes.tolist()], ids),
    )


def report(space: Workspace) -> None:
    """Write the summary and the page."""
    write_report(space)


CHANGED = ("align", "elicit after", "elicit again")
FITS = tuple(
    f"{ws.fit_stem(source, side)}{ending}"
    for source in (*ws.SOURCES, *ws.NULLS)
    for side in ws.SIDES
    for ending in (".json", ".parquet")
)

CHAIN: tuple[Stage, ...] = (
    *ASSEMBLY_STAGES,
    Stage(
        "align",
        train,
        lambda c: (*_taught(c), *subject(c), c.seed),
        ("plan", "consensus"),
        (ws.ADAPTER, ws.TRAINING, ws.REPLAY),
        check=check_training,
    ),
    Stage(
        "elicit after",
        elicit_after,
        lambda c: (c.elicitation, *subject(c), c.seed),
        ("plan", "align"),
        ("after.parquet", "after.json"),
    ),
    Stage(
        "elicit again",
        elicit_again,
        lambda c: (c.elicitation, *subject(c), c.seed),
        ("plan", "elicit before"),
        (ws.NULL, *(f"{name}.parquet" for name in ws.NULLS)),
    ),
    Stage(
        "fit",
        fit_utilities,
        lambda c: (c.fit, c.dataset.utilities, *rule_of(c)),
        ("plan", "recruit", "convene", "consensus", *CHANGED[1:], "elicit before"),
        (ws.FITS, *FITS),
    ),
    Stage(
        "compare",
        compare_models,
        lambda c: (c.comparison, c.seed),
        ("plan", "elicit before", "elicit after", "consensus", "fit"),
        (ws.COMPARISON, ws.SHIFTS, *map(ws.shift_file, ws.SIDES)),
    ),
    *MEASURES,
    Stage(
        "report",
        report,
        lambda c: (c,),
        (*(s.name for s in (*ASSEMBLY_STAGES, *MEASURES)), *CHANGED, "fit", "compare"),
        (ws.REPORT, ws.SUMMARY),
        always=True,
    ),
)
