"""What the stages work with: settings, the run directory, and values loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from assembly.ballots import Votes
from assembly.consensus import Consensus
from assembly.ledger import Spoken
from assembly.seating import Seating, seat
from census_data.cells import columns_of
from census_data.fidelity import positions_of
from census_data.population import Population, load_population
from personas.export import read_panel
from personas.persona import Panel
from personas.prompt import describe
from plenary.app.config import PipelineConfig
from plenary.app.models import citizens_models, open_model
from plenary.app.plan import Plan
from plenary.app.run_directory import RunDirectory
from plenary.app.watcher import Watcher
from plenary.chat.base import ChatBackend
from plenary.chat.budget import BudgetedBackend
from plenary.chat.mixed import MixedBackend, shares_of_models
from plenary.preferences import BoolArray, Cells

PLAN = "plan.json"
POPULATION = "population.json"
PANEL = "panel.jsonl"
PANEL_SHEET = "panel.md"
FIDELITY = "panel_fidelity.json"
SHARES = "panel_shares.json"
LEDGER = "ledger.sqlite"
CHECKPOINTS = "checkpoints.sqlite"
CALLS = "calls.sqlite"
VOTES = "votes.parquet"
STATEMENTS = "statements.parquet"
ASSEMBLY = "assembly.json"
DIAGNOSTICS = "diagnostics.json"
DATASET = "dataset"
CONSENSUS = "consensus.parquet"
CONSENSUS_BEFORE = "consensus_before.parquet"
ADAPTER = "adapter"
TRAINING = "training.json"
COMPARISON = "comparison.json"
STEERING = "steering.json"
FRAMING = "framing.json"
HIRING = "hiring.json"
KEPT = "retention.json"
ANCHOR = "human_anchor.json"
BATTERIES = "batteries"
SUMMARY = "summary.json"
REPORT = "report.html"
WHEN = ("before", "after")
SOURCES = (*WHEN, "assembly")
NULLS = ("null_first", "null_second")
NULL = "null.json"
SIDES = ("held_out", "train")


def fit_stem(source: str, side: str) -> str:
    """Name, without ending, of the files of a fit."""
    return f"utilities_{source}_{side}"


def shift_file(side: str) -> str:
    """Name of the table of outcomes that moved."""
    return f"shift_{side}.parquet"


class Workspace:
    """Settings and an open run directory, with what earlier stages made, read when first needed."""

    def __init__(self, config: PipelineConfig, run: RunDirectory, watcher: Watcher) -> None:
        self.config, self.run, self.watcher = config, run, watcher
        self._models: dict[str, BudgetedBackend] = {}

    @property
    def seed(self) -> int:
        """Root seed."""
        return self.config.seed

    def file(self, name: str) -> Path:
        """Path of a file of the run."""
        return self.run.file(name)

    def model(self, spec: str, adapter: Path | None = None) -> BudgetedBackend:
        """An open model; one without an adapter is opened once."""
        if adapter is not None:
            return open_model(spec, self.config, self.config.budget, adapter)
        if spec not in self._models:
            self._models[spec] = open_model(spec, self.config, self.config.budget)
        return self._models[spec]

    @cached_property
    def citizens(self) -> ChatBackend:
        """The model that speaks for the citizens, or the models, each for its part of them."""
        shares = citizens_models(self.config)
        backends = {spec: self.model(spec) for spec in shares}
        if len(backends) == 1:
            return next(iter(backends.values()))
        cast = shares_of_models(len(self.panel), shares, self.seed)
        chair = max(shares, key=lambda spec: shares[spec])
        return MixedBackend(backends, dict(zip(self.persona_texts, cast, strict=True)), chair)

    @property
    def citizens_calls(self) -> int:
        """Calls made so far for the citizens."""
        return sum(self.model(spec).counts.calls for spec in citizens_models(self.config))

    @property
    def citizens_cost(self) -> float | None:
        """What those calls cost; None where a price is not known."""
        costs = [self.model(spec).cost for spec in citizens_models(self.config)]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    @cached_property
    def plan(self) -> Plan:
        """Outcomes and pairs."""
        return Plan.read(self.file(PLAN))

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
        """What each citizen's model is told it is [C]."""
        return tuple(describe(persona, self.config.profile) for persona in self.panel)

    @cached_property
    def votes(self) -> Votes:
        """Every vote."""
        return Votes.read(self.file(VOTES))

    @cached_property
    def transcript(self) -> list[Spoken]:
        """Every statement, failed ones included."""
        rows = pq.read_table(self.file(STATEMENTS)).to_pylist()
        return [Spoken(**row) for row in rows]

    def categories(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Category of each citizen [C] by attribute; ages and incomes in bands."""
        rows = positions_of(self.population, np.array([p.row_id for p in self.panel]))
        columns = columns_of(self.population, names)
        return {c.name: [c.labels[k] for k in c.codes[rows].tolist()] for c in columns}

    @cached_property
    def consensus(self) -> Consensus:
        """The assembly's shares after the discussion, all pairs."""
        return Consensus.read(self.file(CONSENSUS))

    @property
    def seating(self) -> Seating:
        """Who sits where."""
        return seat(len(self.panel), len(self.plan.pairs), self.config.assembly, self.seed)

    @property
    def held_out_mask(self) -> BoolArray:
        """Pairs [P] among held-out outcomes."""
        return np.arange(len(self.plan.pairs)) >= len(self.plan.train_pairs)

    def cells(self, when: str) -> Cells:
        """The model's answers before or after, both orders."""
        return Cells.read(self.file(f"{when}.parquet"))

    def of_side(self, cells: Cells, side: str) -> Cells:
        """The cells among held-out outcomes, or among training outcomes."""
        held = np.isin(cells.first, self.plan.held_out) & np.isin(cells.second, self.plan.held_out)
        return cells.select(held if side == "held_out" else ~held)
