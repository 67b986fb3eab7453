"""A run as the viewer sees it: its files, read again when they change."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from threading import RLock
from typing import NamedTuple, TypeVar

from assembly.deliberation.seating import Seating, seat
from assembly.record.ledger import Argument, Gist, GroupText
from census_data.cells import cells_of
from census_data.population import load_population
from personas.panel_file import read_panel
from personas.persona import Panel
from plenary.errors import DataError, PlenaryError
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.directory import RunManifest, read_manifest
from plenary.runs.filenames import CONFIG
from plenary.runs.plan import Plan
from plenary.runs.progress import PROGRESS, ProgressRecord
from plenary.runs.records.base import read_record
from plenary.viewer import tables
from plenary.viewer.store import Store, open_ledger, open_store

Row = TypeVar("Row", Argument, Gist, GroupText)
# Counting takes longer for larger runs; at most this share of the time is spent on it.
PACE = 0.1
WATCHED = (
    "manifest.json",
    filenames.PLAN,
    filenames.PANEL,
    filenames.LEDGER,
    f"{filenames.LEDGER}-wal",
    filenames.VOTES,
    filenames.CONSENSUS,
    *map(filenames.shift_file, filenames.SIDES),
)


class RunSnapshot(NamedTuple):
    """The tables, plan and panel of a run, all read at the same moment."""

    store: Store
    plan: Plan
    panel: Panel
    seating: Seating


class RunView:
    """A run directory, under way or ended; DataError if it is not a run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        read_manifest(path)
        self._lock = RLock()
        self._room: RunSnapshot | None = None
        self._mark: tuple[object, ...] = ()
        self._next = 0.0
        self._states: dict[str, float] | None = None

    @property
    def manifest(self) -> RunManifest:
        """Provenance and stages, as they are on disk."""
        return read_manifest(self.path)

    @property
    def config(self) -> PipelineConfig:
        """Settings of the run."""
        return load_config(self.path / CONFIG)

    @property
    def progress(self) -> ProgressRecord | None:
        """The run's latest progress; None for runs made before progress was recorded."""
        path = self.path / PROGRESS
        return read_record(ProgressRecord, path) if path.exists() else None

    def done(self, stage: str) -> bool:
        """Whether a stage has ended."""
        record = self.manifest.stages.get(stage)
        return record is not None and record.done

    def room(self) -> RunSnapshot | None:
        """The tables of the run, at most slightly out of date; None before the panel is seated."""
        with self._lock:
            mark = self._now()
            if mark != self._mark and time.monotonic() >= self._next:
                started = time.monotonic()
                # The old tables are closed when the last page that reads them is done.
                self._room = self._open()
                self._mark, ended = mark, time.monotonic()
                self._next = ended + (ended - started) / PACE
            return self._room

    def ballots_cast(self) -> tuple[int, int]:
        """Ballots in the ledger, and those of them that are invalid."""
        return self._ledger("SELECT count(*), coalesce(sum(state <> 0), 0) FROM votes", (0, 0))

    def statements_made(self) -> tuple[int, int]:
        """Statements in the ledger, and those of them without usable text."""
        query = "SELECT count(*), coalesce(sum(state <> 0), 0) FROM statements"
        return self._ledger(query, (0, 0))

    def written(self, table: str, kind: type[Row], pair: int) -> list[Row]:
        """Rows on a pair from a table of the ledger; none if the ledger is not a local file."""
        path = self.path / filenames.LEDGER
        if not path.exists():
            return []
        columns = ", ".join(f'"{name}"' for name in kind._fields)
        # The primary keys of these tables begin with the pair and give their order.
        query = f"SELECT {columns} FROM {table} WHERE pair = ? ORDER BY 1, 2, 3, 4"
        with closing(open_ledger(path, table)) as ledger:
            return [kind(*row) for row in ledger.execute(query, [pair])]

    def population_by_state(self) -> dict[str, float]:
        """Share of the population by state; empty if it is not available on this machine."""
        if self._states is None:
            try:
                population = load_population(self.config.population)
                cells = cells_of(population, "state")
                shares = cells.shares(population.weight).tolist()
                self._states = dict(zip(cells.labels, shares, strict=True))
            except PlenaryError:
                self._states = {}
        return self._states

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            if self._room is not None:
                self._room.store.close()
            self._room = None

    def _ledger(self, query: str, absent: tuple[int, int]) -> tuple[int, int]:
        path = self.path / filenames.LEDGER
        if not path.exists():
            return absent
        ledger = open_ledger(path)
        try:
            first, second = ledger.execute(query).fetchone()
        finally:
            ledger.close()
        return first, second

    def _now(self) -> tuple[object, ...]:
        files = (self.path / name for name in WATCHED)
        return tuple((s.st_mtime_ns, s.st_size) for s in (f.stat() for f in files if f.exists()))

    def _open(self) -> RunSnapshot | None:
        try:
            plan, panel = (
                Plan.read(self.path / filenames.PLAN),
                read_panel(self.path / filenames.PANEL),
            )
        except DataError:
            return None
        store = open_store(self.path, voted=self.done("convene"))
        if store is None:
            return None
        store.add("citizens", tables.citizens(panel))
        store.add("pairs", tables.pairs(plan, self.path))
        store.add("outcomes", tables.outcomes(plan, self.path))
        store.count()
        config = self.config
        seating = seat(len(panel), len(plan.pairs), config.assembly, config.seed)
        return RunSnapshot(store, plan, panel, seating)
