"""Stage `convene`: holding or resuming the assembly, and exporting its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assembly.analysis.movement import movement
from assembly.deliberation.prompts import PROMPT_HASH, PROMPT_VERSION
from assembly.deliberation.session import convene
from assembly.record.ballots import AFTER, BEFORE, FOLLOW_UP, INVALID, VALID, Votes
from assembly.record.ledger import Ledger, Spoken
from assembly.record.progress import Timing
from assembly.record.settings import AssemblySettings
from evaluation.elicitation.comprehension import read_outcomes
from plenary.errors import measured
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.models.wrappers.cache import CachedBackend, CallStore
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.models import call_store, probed
from plenary.runs.records.assembly import AssemblyRecord, TimingRecord
from plenary.runs.records.base import ReadingRecord, write_record
from plenary.runs.workers import remote_runner
from plenary.runs.workspace import Workspace

PHASES = {"before": BEFORE, "after": AFTER, "follow-up": FOLLOW_UP}

READ = ReadingRecord()


def _reading(space: Workspace, models: Mapping[str, BudgetedBackend]) -> ReadingRecord:
    """Words of the outcomes that the models do not know; DataError if there are too many."""
    asked = probed(space.config, models)
    if not asked:
        return ReadingRecord()
    with call_store(space.file(filenames.CALLS)) as store:
        found = asyncio.run(
            read_outcomes(
                {spec: CachedBackend(models[spec], store) for spec in asked},
                space.plan.outcomes,
                space.config.outcomes.max_unread,
                space.seed,
            )
        )
    return ReadingRecord(**found._asdict())


def convene_assembly(space: Workspace) -> None:
    """Hold the assembly, or resume it, and export what the ledger contains."""
    reading = _reading(space, space.citizens_models)
    with Ledger(space.ledger) as ledger:
        votes = hold(space, space.config.assembly, ledger, space.file(filenames.CHECKPOINTS))
        transcript, timing, cut = ledger.transcript(), ledger.timing(), ledger.cut_share()
    _export(space, votes, transcript)
    record = _assembly_record(space, votes, transcript, timing, cut)
    write_record(record.model_copy(update={"reading": reading}), space.file(filenames.ASSEMBLY))


def hold(
    space: Workspace,
    settings: AssemblySettings,
    ledger: Ledger,
    checkpoints: Path,
    calls: CallStore | None = None,
) -> Votes:
    """Hold an assembly of the run's citizens on its pairs, or resume the one in the ledger.

    Workers hold it if the run has any, unless calls are shared with another assembly.
    """
    elsewhere = None
    if calls is None:
        elsewhere = remote_runner(
            space.executor, space.config, space.citizens_models, space.persona_texts, ledger.place
        )
    return asyncio.run(
        convene(
            space.citizens,
            space.persona_texts,
            space.panel.weight,
            space.plan.texts,
            space.plan.pairs,
            settings,
            ledger,
            checkpoints,
            space.seed,
            space.watcher.assembly,
            calls,
            lambda: space.citizens_cost,
            elsewhere,
        )
    )


def _export(space: Workspace, votes: Votes, transcript: list[Spoken]) -> None:
    with staged(space.file(filenames.VOTES)) as path:
        votes.write(path)
    columns = list(zip(*transcript, strict=True)) or [()] * len(Spoken._fields)
    table = pa.table(dict(zip(Spoken._fields, map(list, columns), strict=True)))
    with staged(space.file(filenames.STATEMENTS)) as path:
        pq.write_table(table, path)


def _assembly_record(
    space: Workspace, votes: Votes, transcript: list[Spoken], timing: Timing, cut_share: float
) -> AssemblyRecord:
    pairs, tables = len(space.plan.pairs), space.seating.table_of()
    reasons: dict[str, str] = {}
    moved = measured(
        lambda: movement(votes, pairs, space.panel.weight, tables), "movement", reasons
    )
    return AssemblyRecord(
        backend=space.citizens.name,
        votes=len(votes),
        states={name: votes.counted(k) for name, k in PHASES.items() if k in votes.phase},
        invalid_share=float((votes.state != VALID).mean()),
        statements=len(transcript),
        silent=sum(spoken.state != VALID for spoken in transcript),
        cut_share=cut_share,
        # Among declared sides, only a reply that was cut short is invalid.
        cut_statements=sum(s.side is not None and s.state == INVALID for s in transcript),
        changed=moved and moved.changed,
        shift=moved and moved.shift,
        toward=moved and moved.toward,
        not_measured=reasons,
        calls=space.citizens_calls,
        cost=space.citizens_cost,
        timing=TimingRecord(**timing._asdict(), milliseconds_a_turn=timing.per_turn),
        prompt_version=PROMPT_VERSION,
        prompt_hash=PROMPT_HASH,
    )
