"""Stages that ask the run's model about every pair: before and after training, and the retest."""

from __future__ import annotations

import asyncio
import time

from evaluation.consistency.test_retest import RetestHalves, orders_apart, repeats_itself
from evaluation.elicitation.answer_table import answer_table, settings_as_text
from evaluation.elicitation.elicit import elicit
from plenary.errors import measured
from plenary.models.usable import nothing_lost
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.models.wrappers.cache import CachedBackend
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.models import call_store
from plenary.runs.records.assembly import ElicitationRecord, RetestRecord
from plenary.runs.records.base import ReadingRecord, Unmeasured, write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed, generator
from plenary.stages.assembly import READ, _reading


def elicit_before(space: Workspace) -> None:
    """Ask the untrained model about every pair, if it can read the outcomes."""
    model = space.model(space.config.model)
    reading = _reading(space, {space.config.model: model})
    ask_model(space, model, "before", reading=reading)


def ask_model(
    space: Workspace,
    model: BudgetedBackend,
    when: str,
    *labels: str,
    reading: ReadingRecord = READ,
) -> None:
    """Ask a model about every pair; recorded calls are not asked again.

    labels: name the random stream; equal for everything that is compared.
    """
    started = time.monotonic()
    settings = space.config.elicitation
    with call_store(space.file(filenames.CALLS)) as store, nothing_lost():
        answers = asyncio.run(
            elicit(
                CachedBackend(model, store),
                space.plan.texts,
                space.plan.pairs,
                settings,
                seed=derived_seed(space.seed, "elicit", *labels),
            )
        )
    table = answer_table(
        answers, space.plan.outcomes, model.name, settings_as_text(settings), space.seed
    )
    with staged(space.file(f"{when}.parquet")) as path:
        table.write(path)
    record = ElicitationRecord(
        backend=model.name,
        template=",".join(settings.templates),
        asked=answers.asked,
        invalid=answers.invalid,
        cut=answers.cut,
        undecided=float(answers.cells.undecided.sum()),
        excluded=int(answers.excluded.sum()),
        cells=len(answers.cells),
        seconds=time.monotonic() - started,
        reading=reading,
    )
    write_record(record, space.file(f"{when}.json"))
    space.watcher.asked(when, answers.asked)


def elicit_after(space: Workspace) -> None:
    """Ask the trained model about every pair."""
    ask_model(space, space.model(space.config.model, space.file(filenames.ADAPTER)), "after")


def elicit_retest(space: Workspace) -> None:
    """The test-retest of the untrained model: the same pairs, templates and orders again."""
    before = space.answers("before")
    asked_again = not repeats_itself(before)
    if asked_again:
        ask_model(space, space.model(space.config.model), "again", "again")
        halves = RetestHalves(before, space.answers("again"))
    else:
        rng, reasons = generator(space.seed, "null", "orders"), dict[str, str]()
        halves = measured(lambda: orders_apart(before, rng), "test-retest", reasons)
        if halves is None:
            write_record(Unmeasured(not_measured=reasons), space.file(filenames.RETEST))
            return
    for name, table in zip(filenames.RETESTS, halves, strict=True):
        with staged(space.file(f"{name}.parquet")) as path:
            table.write(path)
    cells = sum(len(table.cells) for table in halves)
    record = RetestRecord(asked_again=asked_again, cells=cells)
    write_record(record, space.file(filenames.RETEST))
