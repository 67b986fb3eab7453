"""The stages up to the assembly's decision. Each reads the workspace and writes its files whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from assembly.ballots import AFTER, BEFORE, FOLLOW_UP, INVALID, VALID, Votes
from assembly.electorate import Rule
from assembly.ledger import Ledger, Spoken
from assembly.movement import movement
from assembly.progress import Timing
from assembly.prompts import PROMPT_HASH, PROMPT_VERSION
from assembly.rules import RULES
from assembly.session import convene
from assembly.settings import FREE, AssemblySettings
from census_data.fidelity import panel_fidelity
from evaluation.answers import answer_table, settings_as_text
from evaluation.elicitation import elicit
from personas.export import data_sheet, write_panel
from personas.prompt import TEMPLATE_HASH, TEMPLATE_VERSION
from personas.representativeness import representativeness
from personas.sampling import recruit
from plenary.app import workspace as ws
from plenary.app.comprehension import read_outcomes
from plenary.app.config import PipelineConfig
from plenary.app.consensus_dataset import make_dataset
from plenary.app.decisions import NamedRule, decide
from plenary.app.models import call_store, citizens_models, probed, spec_hash, takes_part
from plenary.app.plan import check_joined, chosen_outcomes, make_plan
from plenary.app.records import (
    AssemblyRecord,
    CategoryRecord,
    ElicitationRecord,
    FidelityRecord,
    MarginRecord,
    PopulationRecord,
    ReadingRecord,
    SharesRecord,
    TimingRecord,
    write_record,
)
from plenary.app.rewording import reword
from plenary.app.run_directory import content_hash, staged, write_text
from plenary.app.tasks import held_elsewhere
from plenary.app.workspace import Workspace
from plenary.chat.budget import BudgetedBackend
from plenary.chat.cache import CachedBackend, CallStore
from plenary.chat.usable import nothing_lost
from plenary.errors import ConfigError, measured
from plenary.seeding import derived_seed

PHASES = {"before": BEFORE, "after": AFTER, "follow-up": FOLLOW_UP}
READ = ReadingRecord()
Settings = tuple[BaseModel | str | float | None, ...]


class Stage(NamedTuple):
    """One step of a run.

    settings: what of the config it depends on. needs: stages whose files it reads.
    outputs: files it leaves. continues: begun work is carried on, so other settings are refused
    instead of starting again. recorded: what it asks is kept for good, so newer code carries it on;
    of all other stages the code is part of the fingerprint (code_marks.py). check: raises, before a
    model is asked, where the stage could not do its work. always: cheap, and shows what may have
    come since.
    """

    name: str
    work: Callable[[Workspace], None]
    settings: Callable[[PipelineConfig], Settings]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    continues: bool = False
    recorded: bool = False
    check: Callable[[PipelineConfig], None] | None = None
    always: bool = False


def plan(space: Workspace) -> None:
    """Choose outcomes, split them and draw the pairs."""
    config = space.config
    reads = takes_part(config)
    catalogue = chosen_outcomes(config.outcomes, space.seed, embedded_reads=reads)
    made = make_plan(catalogue, config.outcomes, config.design, space.seed, embedded_reads=reads)
    if config.fit.disconnected == "error":
        check_joined(made)
    write_record(made, space.file(ws.PLAN))


def census(space: Workspace) -> None:
    """Load the population, its hash checked, and note what it is."""
    population = space.population
    source = population.source
    record = PopulationRecord(
        source=source.source,
        year=source.year,
        universe=source.universe,
        sha256=source.sha256,
        rows=len(population),
        weight_sum=float(population.weight.sum()),
        imputed_share=population.imputed_share,
        imputed_columns=source.imputed_columns,
        notes=source.notes,
    )
    write_record(record, space.file(ws.POPULATION))
    space.run.record_inputs({"population": source.sha256})


def recruit_panel(space: Workspace) -> None:
    """Draw the panel and measure how far its margins are from the population's."""
    panel = recruit(space.population, space.config.panel, space.seed)
    with staged(space.file(ws.PANEL)) as path:
        write_panel(panel, path)
    write_text(space.file(ws.PANEL_SHEET), data_sheet(panel))
    rows = np.array([persona.row_id for persona in panel])
    told = panel_fidelity(space.population, rows, panel.weight)
    # One cell: everybody is the same, most often since the survey does not tell.
    margins = [margin for margin in told if margin.cells > 1] or told
    record = FidelityRecord(
        citizens=len(panel),
        effective_size=panel.effective_size,
        imputed_share=panel.imputed_share,
        margins=tuple(MarginRecord(**margin._asdict()) for margin in margins),
        prompt_version=TEMPLATE_VERSION,
        prompt_hash=TEMPLATE_HASH,
    )
    write_record(record, space.file(ws.FIDELITY))
    known = {margin.name for margin in margins}
    shares = (s for s in representativeness(space.population, panel) if s.attribute in known)
    categories = tuple(CategoryRecord(**share._asdict()) for share in shares)
    write_record(SharesRecord(categories=categories), space.file(ws.SHARES))


def elicit_before(space: Workspace) -> None:
    """Ask the model about every pair as it is, if it can read the outcomes."""
    model = space.model(space.config.model)
    reading = _reading(space, {space.config.model: model})
    ask_model(space, model, "before", reading=reading)


def _reading(space: Workspace, models: Mapping[str, BudgetedBackend]) -> ReadingRecord:
    """Which words of the outcomes the models do not know; DataError for too many of them."""
    asked = probed(space.config, models)
    if not asked:
        return ReadingRecord()
    with call_store(space.file(ws.CALLS)) as store:
        found = asyncio.run(
            read_outcomes(
                {spec: CachedBackend(models[spec], store) for spec in asked},
                space.plan.outcomes,
                space.config.outcomes.max_unread,
                space.seed,
            )
        )
    return ReadingRecord(**found._asdict())


def ask_model(
    space: Workspace,
    model: BudgetedBackend,
    when: str,
    *labels: str,
    reading: ReadingRecord = READ,
) -> None:
    """Ask a model about every pair; recorded calls are not asked again.

    labels: name the random stream; the same for all that is compared.
    """
    started = time.monotonic()
    settings = space.config.elicitation
    with call_store(space.file(ws.CALLS)) as store, nothing_lost():
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
        frame=",".join(settings.frames),
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


def convene_assembly(space: Workspace) -> None:
    """Hold the assembly, or carry it on, and export what the ledger holds."""
    reading = _reading(space, space.citizens_models)
    with Ledger(space.ledger) as ledger:
        votes = hold(space, space.config.assembly, ledger, space.file(ws.CHECKPOINTS))
        transcript, timing, cut = ledger.transcript(), ledger.timing(), ledger.cut_share()
    _export(space, votes, transcript)
    record = _assembly_record(space, votes, transcript, timing, cut)
    write_record(record.model_copy(update={"reading": reading}), space.file(ws.ASSEMBLY))


def hold(
    space: Workspace,
    settings: AssemblySettings,
    ledger: Ledger,
    checkpoints: Path,
    calls: CallStore | None = None,
) -> Votes:
    """Hold an assembly of the run's citizens on its pairs, or carry on the one in the ledger.

    Workers hold it where the run has them, unless calls are shared with another assembly.
    """
    elsewhere = None
    if calls is None:
        elsewhere = held_elsewhere(
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
    with staged(space.file(ws.VOTES)) as path:
        votes.write(path)
    columns = list(zip(*transcript, strict=True)) or [()] * len(Spoken._fields)
    table = pa.table(dict(zip(Spoken._fields, map(list, columns), strict=True)))
    with staged(space.file(ws.STATEMENTS)) as path:
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
        # Of those who declared a side, only a reply that was cut short is invalid.
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


def with_rule(stages: Sequence[Stage], name: str, rule: Rule) -> tuple[Stage, ...]:
    """The stages with labels by a function of one's own; ConfigError for a name that is taken.

    A finished stage is known by the name: give a changed function another one.
    """
    if name in RULES:
        raise ConfigError(f"{name!r} is a rule of the settings; give your own another name")
    place = [stage.name for stage in stages].index("consensus")
    stage = stages[place]
    changed = stage._replace(
        work=lambda space: decide(space, NamedRule(name, rule)),
        settings=lambda config: (*stage.settings(config), name),
    )
    return (*stages[:place], changed, *stages[place + 1 :])


def subject(config: PipelineConfig) -> Settings:
    """What identifies the model to be aligned, its files included."""
    return (config.model, spec_hash(config.model), config.base_url, config.chat.local, _day(config))


def citizens_of(config: PipelineConfig) -> Settings:
    """What identifies the models that speak for the citizens."""
    models = citizens_models(config)
    hashes = (f"{spec} {share} {spec_hash(spec)}" for spec, share in models.items())
    return (*hashes, config.base_url, config.chat.local, _day(config))


def _day(config: PipelineConfig) -> str:
    """What chat templates that print a date are told."""
    return str(config.chat.day)


def _held(config: PipelineConfig) -> Settings:
    """What an assembly is held under; a briefing counts by its content."""
    briefing = config.assembly.briefing
    chosen = config.assembly.model_dump_json(exclude={*FREE, "briefing"})
    return (chosen, content_hash(briefing) if isinstance(briefing, Path) else briefing)


def rule_of(config: PipelineConfig) -> Settings:
    """How the ballots of an assembly are counted."""
    return (config.dataset.rule, config.dataset.rule_strata, config.population)


def _outcomes(config: PipelineConfig) -> Settings:
    path = config.outcomes.path
    chosen = config.outcomes.model_dump_json(exclude={"max_unread", "probe"})
    return (chosen, content_hash(path) if path else None, takes_part(config))


ASSEMBLY_STAGES: tuple[Stage, ...] = (
    Stage(
        "plan",
        plan,
        lambda c: (*_outcomes(c), c.design, c.seed),
        (),
        (ws.PLAN,),
    ),
    Stage("census", census, lambda c: (c.population,), (), (ws.POPULATION,)),
    Stage(
        "recruit",
        recruit_panel,
        lambda c: (c.panel, c.population, c.seed),
        ("census",),
        (ws.PANEL, ws.PANEL_SHEET, ws.FIDELITY, ws.SHARES),
    ),
    Stage(
        "elicit before",
        elicit_before,
        lambda c: (*subject(c), c.elicitation, c.seed),
        ("plan",),
        ("before.parquet", "before.json"),
    ),
    # The ledger's calls are content-addressed, so newer code carries an assembly on.
    Stage(
        "convene",
        convene_assembly,
        lambda c: (*citizens_of(c), *_held(c), c.profile, c.seed),
        ("plan", "recruit"),
        (ws.VOTES, ws.STATEMENTS, ws.ASSEMBLY),
        continues=True,
        recorded=True,
    ),
    Stage(
        "reword",
        reword,
        lambda c: (*citizens_of(c), *_held(c), c.profile, c.dataset.reworded, c.seed),
        ("plan", "recruit", "convene"),
        (ws.REWORDED,),
        recorded=True,
    ),
    Stage(
        "consensus",
        decide,
        lambda c: (c.comparison, *_held(c), *rule_of(c), c.seed),
        ("convene", "recruit", "plan"),
        (ws.CONSENSUS, ws.CONSENSUS_BEFORE, "consensus.json"),
    ),
    Stage(
        "dataset",
        make_dataset,
        lambda c: (c.dataset, *_held(c), *rule_of(c), c.comparison.level, c.seed),
        ("census", "recruit", "plan", "convene", "reword", "consensus"),
        (ws.DIAGNOSTICS, ws.DATASET),
    ),
)
