"""A run directory as a result: its figures and everything behind them."""

from __future__ import annotations

from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from assembly.aggregation.consensus import Consensus
from assembly.hold import SeatedPanel, VotingAgenda
from census_data.population import load_population
from evaluation.comparison.compare import Comparison
from evaluation.utility.thurstonian import UtilityFit
from personas.panel_file import read_panel
from plenary.any_model import Model, load_model
from plenary.errors import ConfigError, DataError
from plenary.results.answers import UtilityResult
from plenary.results.assembly import AssemblyResult
from plenary.results.comparison import ComparisonResult
from plenary.results.display import piece
from plenary.results.panel import PanelResult, drawn_panel
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.directory import RunDirectory, read_manifest
from plenary.runs.models import resolve
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import AssemblyRecord, ConsensusRecord, Summary
from plenary.runs.records.base import read_record
from plenary.runs.workspace import Workspace
from plenary.table import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class RunResult:
    """What a run left: `summary`, `comparison`, `panel`, `assembly`, `utilities(...)`, `report`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: PipelineConfig = load_config(path / filenames.CONFIG)

    @property
    def summary(self) -> Summary:
        """The run in one object."""
        return read_record(Summary, self.path / filenames.SUMMARY)

    @property
    def report(self) -> Path:
        """The page of the run."""
        return self.path / filenames.REPORT

    @cached_property
    def _space(self) -> Workspace:
        manifest = read_manifest(self.path)
        return Workspace(self.config, RunDirectory(self.path, manifest, StringIO()), NullWatcher())

    @property
    def comparison(self) -> ComparisonResult:
        """The model before against after, on held-out pairs."""
        found = Comparison.load(self.path / filenames.COMPARISON)
        return ComparisonResult(**dict(found))

    @cached_property
    def panel(self) -> PanelResult:
        """The citizens."""
        population = load_population(self.config.population)
        panel = read_panel(self.path / filenames.PANEL)
        return drawn_panel(population, panel, self.config.panel.by, self.config.profile)

    @cached_property
    def assembly(self) -> AssemblyResult:
        """What the assembly decided, with ballots and transcript."""
        space = self._space
        seats = SeatedPanel(
            self.panel.seats.ids, space.persona_texts, space.panel.weight,
            self.panel.seats.attributes,
        )  # fmt: skip
        return AssemblyResult(
            agenda=VotingAgenda(
                space.plan.outcomes, space.plan.pairs, np.array(space.held_out_mask)
            ),
            seats=seats,
            votes=space.votes,
            statements=tuple(space.transcript),
            before=Consensus.read(self.path / filenames.CONSENSUS_BEFORE),
            after=space.consensus,
            model=read_record(AssemblyRecord, self.path / filenames.ASSEMBLY).backend,
            rule=read_record(ConsensusRecord, self.path / filenames.DECISION).rule,
            settings=space.config.assembly,
            seed=space.seed,
        )

    def utilities(
        self,
        of: Literal["before", "after", "assembly"] = "after",
        side: Literal["held_out", "train"] = "held_out",
    ) -> UtilityResult:
        """Utilities of the model before or after, or of the assembly, on one side of the split."""
        if of not in filenames.SOURCES or side not in filenames.SIDES:
            raise ConfigError(
                f"no utilities of {of!r} on {side!r}; use {', '.join(filenames.SOURCES)} on "
                f"{' or '.join(filenames.SIDES)}"
            )
        fit = UtilityFit.load(self.path / filenames.fit_stem(of, side))
        plan = self._space.plan
        outcomes = tuple(plan.outcomes[k] for k in getattr(plan, side))
        return UtilityResult(fit, outcomes, f"{of}, {side}")

    def model(self, *, trained: bool = True) -> Model:
        """The run's model, with the adapter that the run trained or as it was before."""
        adapter = self.path / filenames.ADAPTER if trained else None
        if adapter is not None and not adapter.is_dir():
            raise DataError(f"{str(self.path)!r} trained no adapter; use trained=False")
        return load_model(
            resolve(self.config.model), adapter=adapter, base_url=self.config.base_url,
            settings=self.config.chat, day=self.config.chat.day,
        )  # fmt: skip

    def table(self) -> Table:
        """The summary as rows of name and value."""
        return Table.of(
            ["figure", "value"], list(self.summary.model_dump().items()), str(self.path)
        )

    def to_pandas(self) -> pd.DataFrame:
        """The summary as rows of name and value."""
        return self.table().to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Agreement before and after; the axes."""
        return self.comparison.plot(axes)

    def __repr__(self) -> str:
        if not (self.path / filenames.SUMMARY).exists():
            return f"Run {str(self.path)!r}, not finished"
        return f"Run {str(self.path)!r}: {self.summary.finding or 'finished'}"

    def _repr_html_(self) -> str:
        if not (self.path / filenames.SUMMARY).exists():
            return piece(repr(self))
        parts: list[str | Table] = [self.table()]
        if (self.path / filenames.COMPARISON).exists() and self.summary.measured:
            parts.insert(0, self.comparison._repr_html_())
        return piece(repr(self), *parts)


def opened_run(path: str | Path) -> RunResult:
    """The run at a path; DataError for a folder that is none."""
    place = Path(path).expanduser()
    if not (place / filenames.MANIFEST).exists():
        raise DataError(
            f"{str(place)!r} is no run directory; give the folder that `plenary run` or pl.run made"
        )
    return RunResult(place)
