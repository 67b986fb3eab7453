"""The workspace of stages: settings, run directory, and results of earlier stages, loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq

from assembly.aggregation.consensus import Consensus
from assembly.aggregation.electorate import Electorate
from assembly.dataset.consensus_dataset import ConsensusDataset
from assembly.deliberation.seating import Seating, seat
from assembly.record.ballots import Votes, citizen_shares
from assembly.record.ledger import Spoken
from assembly.record.postgres import within
from census_data.cells import columns_of
from census_data.fidelity import positions_of
from census_data.population import Population, load_population
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.comprehension import Comprehension
from personas.panel_file import read_panel
from personas.persona import Panel
from personas.prompt import RENDERINGS, RenderingName, describe
from plenary.executors.base import Executor, Here
from plenary.models.base import ChatBackend
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.preferences import BoolArray, ComparisonCounts, Targets
from plenary.runs.config import PipelineConfig
from plenary.runs.directory import RunDirectory
from plenary.runs.filenames import (
    ASSEMBLY,
    CONSENSUS,
    DATASET,
    LEDGER,
    LEDGER_SCHEMA,
    PANEL,
    PLAN,
    STATEMENTS,
    VOTES,
)
from plenary.runs.files import write_text
from plenary.runs.models import cast_models, citizens_models, seat_models
from plenary.runs.plan import Plan
from plenary.runs.progress import Watcher
from plenary.runs.records.assembly import AssemblyRecord
from plenary.runs.records.base import read_record
from plenary.runs.workers import open_distributed


class Workspace:
    """Settings and an open run directory; results of earlier stages are read when first needed."""

    def __init__(
        self,
        config: PipelineConfig,
        run: RunDirectory,
        watcher: Watcher,
        executor: Executor | None = None,
    ) -> None:
        self.config, self.run, self.watcher = config, run, watcher
        self.executor = executor or Here()
        self._models: dict[str, BudgetedBackend] = {}

    @property
    def seed(self) -> int:
        """Root seed."""
        return self.config.seed

    def file(self, name: str) -> Path:
        """Path of a file of the run."""
        return self.run.file(name)

    @property
    def ledger(self) -> Path | str:
        """Where the ledger is: a file of the run, or a schema of the settings' database."""
        if self.config.ledger is None:
            return self.file(LEDGER)
        name = self.file(LEDGER_SCHEMA)
        if not name.exists():
            write_text(name, f"plenary_{uuid4().hex}\n")
        return within(self.config.ledger, name.read_text(encoding="utf-8").strip())

    def model(self, spec: str, adapter: Path | None = None) -> BudgetedBackend:
        """An open model; one without an adapter is opened once."""
        if adapter is not None:
            return open_distributed(spec, self.config, adapter, self.executor)
        if spec not in self._models:
            self._models[spec] = open_distributed(spec, self.config, None, self.executor)
        return self._models[spec]

    def note_models(self) -> None:
        """Record what the models' endpoints refuse and why the first answers failed."""
        for spec, model in self._models.items():
            self.run.record_model(spec, model.notes, model.counts.failure)

    @property
    def citizens_models(self) -> dict[str, BudgetedBackend]:
        """The models that play citizens."""
        return {spec: self.model(spec) for spec in citizens_models(self.config)}

    @cached_property
    def citizens(self) -> ChatBackend:
        """The model that plays the citizens, or several models, each for its share of them."""
        worded = [self.worded(name) for name in RENDERINGS]
        return seat_models(self.config, self.citizens_models, worded)

    @property
    def cast(self) -> list[str]:
        """The model that plays each citizen [C]."""
        return cast_models(self.config, len(self.panel))

    @property
    def citizens_calls(self) -> int:
        """Calls made so far for the citizens."""
        return sum(model.counts.calls for model in self.citizens_models.values())

    @property
    def citizens_cost(self) -> float | None:
        """What those calls cost; None if a price is unknown."""
        costs = [model.cost for model in self.citizens_models.values()]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @cached_property
    def plan(self) -> Plan:
        """Outcomes and pairs."""
        return Plan.read(self.file(PLAN))

    @property
    def reading(self) -> Comprehension:
        """Words that a citizens' model cannot read, and why this is not known for a model."""
        told = read_record(AssemblyRecord, self.file(ASSEMBLY)).reading
        return Comprehension.join(
            [Comprehension(self.plan.unread, {}), Comprehension(told.unread, told.not_measured)]
        )

    @cached_property
    def population(self) -> Population:
        """The population after the filters."""
        return load_population(self.config.population)

    @cached_property
    def panel(self) -> Panel:
        """The citizens."""
        return read_panel(self.file(PANEL))

    @property
    def persona_texts(self) -> tuple[str, ...]:
        """The persona text of each citizen [C]."""
        return tuple(describe(persona, self.config.profile) for persona in self.panel)

    def worded(self, rendering: RenderingName) -> tuple[str, ...]:
        """`persona_texts` [C] in another rendering, otherwise as in the settings."""
        profile = self.config.profile.model_copy(update={"rendering": rendering})
        return tuple(describe(persona, profile) for persona in self.panel)

    @cached_property
    def votes(self) -> Votes:
        """Every vote."""
        return Votes.read(self.file(VOTES))

    @cached_property
    def transcript(self) -> list[Spoken]:
        """Every statement, including failed ones."""
        rows = pq.read_table(self.file(STATEMENTS)).to_pylist()
        return [Spoken(**row) for row in rows]

    def categories(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Category of each citizen [C] by attribute; ages and incomes in bands."""
        rows = positions_of(self.population, np.array([p.row_id for p in self.panel]))
        columns = columns_of(self.population, names)
        return {c.name: [c.labels[k] for k in c.codes[rows].tolist()] for c in columns}

    def electorate(self, phase: int) -> Electorate:
        """Who voted how in a phase, in the strata of `dataset.rule_strata`."""
        (strata,) = columns_of(self.population, (self.config.dataset.rule_strata,))
        rows = positions_of(self.population, np.array([p.row_id for p in self.panel]))
        return Electorate(
            citizen_shares(self.votes, phase, len(self.panel), len(self.plan.pairs)),
            self.plan.pairs,
            self.panel.weight,
            len(self.plan.outcomes),
            strata.codes[rows],
            strata.shares(self.population.weight),
        )

    @cached_property
    def consensus(self) -> Consensus:
        """The assembly's shares after the discussion, all pairs."""
        return Consensus.read(self.file(CONSENSUS))

    def targets(self, side: str, decided: Consensus | None = None) -> Targets:
        """Shares on the pairs of one side of the split: the assembly's, or what else is given."""
        found = (decided or self.consensus).targets()
        held = np.isin(found.pairs, self.plan.held_out).all(axis=1)
        keep = held if side == "held_out" else ~held
        return Targets(found.pairs[keep], found.p[keep], found.weight[keep])

    def dataset(self, side: str) -> ConsensusDataset:
        """The published dataset on the pairs of one side of the split."""
        return ConsensusDataset.read(self.file(DATASET) / f"{side}.parquet")

    @property
    def seating(self) -> Seating:
        """Who sits where."""
        return seat(len(self.panel), len(self.plan.pairs), self.config.assembly, self.seed)

    @property
    def held_out_mask(self) -> BoolArray:
        """Pairs [P] among held-out outcomes."""
        return np.arange(len(self.plan.pairs)) >= len(self.plan.train_pairs)

    def answers(self, when: str) -> AnswerTable:
        """The model's answers before or after, or of the test-retest, both orders."""
        return AnswerTable.read(self.file(f"{when}.parquet"))

    def cells(self, when: str) -> ComparisonCounts:
        """The valid ones among `answers`."""
        return self.answers(when).accepted

    def of_side(self, cells: ComparisonCounts, side: str) -> ComparisonCounts:
        """The cells of held-out outcomes, or of training outcomes."""
        held = np.isin(cells.first, self.plan.held_out) & np.isin(cells.second, self.plan.held_out)
        return cells.select(held if side == "held_out" else ~held)
