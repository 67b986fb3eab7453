"""`plenary show`: describing any artifact of a run, recognised by its content, not its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.aggregation.consensus import Consensus
from assembly.analysis.movement import MovementIntervals
from assembly.dataset.consensus_dataset import ConsensusDataset
from assembly.record.ballots import STATES, Votes
from evaluation.comparison.utility_shift import UtilityShift
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.utility.thurstonian import UtilityFit
from personas.panel_file import read_panel
from plenary.errors import DataError, PlenaryError
from plenary.results.columns import COLUMNS
from plenary.results.run import opened_run
from plenary.runs import filenames
from plenary.table import Table
from plenary.untrusted import read_tree
from plenary.viewer.store import open_ledger

# alignment.training.adapter knows this too, but importing it loads torch and takes seconds.
ADAPTER_MANIFEST = "plenary_adapter.json"
_CUT = """SELECT count(*) FROM calls WHERE reply LIKE '%"cut": %' AND reply NOT LIKE '%"cut": 0%'"""
Rows = Iterator[tuple[str, str]]


class ArtifactFigures(NamedTuple):
    """What an artifact is, its figures by name, and what its columns mean, if it is a table."""

    title: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...] = ()


def describe(path: Path) -> ArtifactFigures:
    """Describe what is at `path`; DataError if plenary does not write such a thing."""
    title, rows = _found(path)
    table = path / filenames.CONSENSUS if path.is_dir() else path
    return ArtifactFigures(f"{path}: {title}", tuple(rows), _explained(table, title))


def _explained(path: Path, title: str) -> tuple[tuple[str, str], ...]:
    """The columns of a table with their meaning."""
    meaning = COLUMNS.get(title, {})
    names = pq.read_schema(path).names if meaning and path.suffix == ".parquet" else list(meaning)
    return tuple((name, meaning[name]) for name in names if name in meaning)


def movement_by(path: Path, attribute: str) -> Table:
    """Which groups of citizens moved, with intervals, in the run that `path` is or is a file of."""
    places = (path, *path.parents[:2])
    folder = next((at for at in places if (at / filenames.MANIFEST).is_file()), None)
    if folder is None:
        raise DataError(
            f"{str(path)!r} is no run directory and no file in one, so it is not known who voted; "
            "give the run directory for --by"
        )
    return opened_run(folder).assembly.by(attribute)


def as_percent(row: Mapping[str, object], attribute: str) -> dict[str, object]:
    """A row of `movement_by` for people: figures in percent, each with its interval."""
    told: dict[str, object] = {attribute: row[attribute], "citizens": row["citizens"]}
    for name in MovementIntervals._fields:
        value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
        told[name] = "none" if value is None else f"{100 * cast('float', value):.1f}"
        if low is not None and high is not None:
            ends = (100 * cast("float", end) for end in (low, high))
            told[name] = f"{told[name]} ({' to '.join(f'{end:.1f}' for end in ends)})"
    return told


def _found(path: Path) -> tuple[str, Rows]:
    if (path / ADAPTER_MANIFEST).is_file():
        return "an adapter", _record(path / ADAPTER_MANIFEST)
    if (path / filenames.CONSENSUS).is_file():
        return "a consensus dataset", _dataset(path / filenames.CONSENSUS)
    if not path.is_file():
        raise DataError(
            f"{str(path)!r} is neither a run directory nor an artifact of one; check the path"
        )
    if path.suffix == ".sqlite":
        return "a ledger or store of calls", _ledger(path)
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.suffix == ".json":
        return "a record", _record(path)
    return "a panel", _panel(path)


def _parquet(path: Path) -> tuple[str, Rows]:
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}; export it again") from error
    for title, columns, rows in _TABLES:
        if columns <= set(schema.names):
            try:
                return title, iter(tuple(rows(path)))
            except PlenaryError:
                raise
            except (TypeError, ValueError, LookupError, ArithmeticError) as error:
                raise DataError(
                    f"{str(path)!r} has the columns of {title}, but invalid values: {error}; "
                    "export it again"
                ) from error
    return "a table", iter(
        [("rows", f"{pq.read_metadata(path).num_rows:,}"), ("columns", ", ".join(schema.names))]
    )


def _votes(path: Path) -> Rows:
    votes = Votes.read(path)
    yield "votes", f"{len(votes):,}"
    yield "pairs", f"{len(np.unique(votes.pair)):,}"
    yield "citizens", f"{len(np.unique(votes.citizen)):,}"
    for phase, name in enumerate(("before", "after", "follow-up")):
        counted = votes.counted(phase)
        if sum(counted.values()):
            yield name, ", ".join(f"{count:,} {state}" for state, count in counted.items() if count)


def _statements(path: Path) -> Rows:
    states = np.bincount(pq.read_table(path, columns=["state"])["state"].to_numpy())
    yield "statements", f"{states.sum():,}"
    for state, count in zip(STATES, states.tolist(), strict=False):
        yield state, f"{count:,}"


def _panel(path: Path) -> Rows:
    panel = read_panel(path)
    yield "citizens", f"{len(panel):,}"
    yield "method", f"{panel.method}, seed {panel.seed}"
    yield "effective size", f"{panel.effective_size:.1f}"
    yield "design effect", f"{panel.design_effect:.2f}"
    yield "imputed, by weight", f"{panel.imputed_share:.1%}"
    yield "raked to", ", ".join(panel.raked) or "nothing"


def _dataset(path: Path) -> Rows:
    dataset = ConsensusDataset.read(path)
    yield "pairs", f"{len(dataset.p):,}"
    yield "held out", f"{sum(split == 'held_out' for split in dataset.split):,}"
    yield "contested", f"{int(dataset.contested.sum()):,}"
    yield "strata", f"{len(dataset.strata):,}"


def _consensus(path: Path) -> Rows:
    decided = Consensus.read(path)
    yield "pairs", f"{len(decided.pairs):,}"
    yield "contested", f"{int(decided.contested.sum()):,} at level {decided.level:g}"
    yield "unusable share", f"{decided.unusable_share:.2%}"


def _fit(path: Path) -> Rows:
    fitted = UtilityFit.load(path.with_suffix(""))
    yield "outcomes", f"{len(fitted.mu):,}"
    yield "median standard error", f"{np.median(fitted.sd):.3f}"
    yield "order bias", f"{fitted.order_bias:+.3f} (sd {fitted.order_bias_sd:.3f})"
    yield "lapse", f"{fitted.lapse:.3f}"
    yield "weight of no preference", f"{fitted.tie:.3f}"
    yield "log likelihood", f"{fitted.log_likelihood:,.2f} nats"
    yield "settled", f"{'yes' if fitted.converged else 'no'}, {fitted.iterations} iterations"


def _shift(path: Path) -> Rows:
    shift = UtilityShift.read(path)
    yield "outcomes", f"{len(shift.shift):,}"
    yield "moved", f"{int(shift.moved.sum()):,}" if shift.scale_holds else "no common scale"
    said = f"{shift.correlation_before:.2f} before, {shift.correlation_after:.2f} after"
    yield "rank correlation with the target", said


def _cells(path: Path) -> Rows:
    table = AnswerTable.read(path)
    cells = table.cells
    yield "cells", f"{len(cells):,}"
    yield "trials", f"{cells.trials.sum():,.0f}"
    yield "no preference", f"{cells.undecided.sum():,.0f}"
    yield "invalid", f"{cells.invalid.sum():,.0f}"
    yield "cells excluded", f"{table.excluded.sum():,}"


def _ledger(path: Path) -> Rows:
    with closing(open_ledger(path, "calls")) as ledger:
        names = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [name for (name,) in names.fetchall()]
        for name in tables:
            (count,) = ledger.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            yield name, f"{count:,}"
        if "calls" in tables and (cut := ledger.execute(_CUT).fetchone()[0]):
            yield "calls with answers cut short", f"{cut:,}"
        if "votes" in tables:
            states = "SELECT state, count(*) FROM votes GROUP BY state ORDER BY state"
            counted = ledger.execute(states).fetchall()
            yield "votes by state", ", ".join(f"{n:,} {STATES[state]}" for state, n in counted)


def _record(path: Path) -> Rows:
    content = read_tree(path, "record", DataError)
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} holds {type(content).__name__!r}; a record is an object")
    for name, value in content.items():
        yield name, value if isinstance(value, str) else json.dumps(value)


_TABLES: tuple[tuple[str, frozenset[str], Callable[[Path], Rows]], ...] = (
    ("votes", frozenset(Votes.__slots__), _votes),
    ("statements", frozenset({"pair", "seat", "text", "state"}), _statements),
    ("a panel", frozenset({"row_id", "panel_weight"}), _panel),
    ("a consensus dataset", frozenset({"first_text", "p_hard"}), _dataset),
    ("what the assembly decided", frozenset({"effective_n", "count_first"}), _consensus),
    ("fitted utilities", frozenset({"mu", "log_sigma"}), _fit),
    ("utilities that moved", frozenset({"shift", "p_value"}), _shift),
    ("answers", frozenset({"first", "second", "wins", "trials"}), _cells),
)
