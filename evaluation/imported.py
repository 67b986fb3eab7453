"""Preference tables of a user's own: CSV, JSONL or Parquet, one row a vote or a count of votes.

Columns: two outcomes, the one shown first first (by id, by text, or by position in the catalogue),
and one of a choice (which of the two, or "no preference", or empty for an invalid vote), wins and
trials, or a probability. Optional: votes (how many the row stands for).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from evaluation.answers import AnswerTable, Origin, file_hash
from evaluation.preference_graph import load_graph
from plenary.errors import DataError
from plenary.outcomes import Catalogue, Outcome, imported_outcome
from plenary.preferences import Cells, FloatArray
from plenary.untrusted import csv_rows, json_tree

Row = Mapping[str, object]

# Column -> names under which it is recognised, in lower case.
ALIASES = {
    "first": ("first", "option_a", "a", "left", "item_a", "item1", "outcome_a", "option_a_id"),
    "second": ("second", "option_b", "b", "right", "item_b", "item2", "outcome_b", "option_b_id"),
    "choice": ("choice", "winner", "chosen", "preferred", "answer", "label", "vote"),
    "wins": ("wins", "wins_first", "count_a", "votes_a"),
    "trials": ("trials", "total", "n", "total_responses"),
    "losses": ("losses", "wins_second", "count_b", "votes_b"),
    "probability": ("probability", "probability_a", "p", "p_first", "share"),
    "votes": ("votes", "weight", "count"),
}
FIRST = {"first", "a", "1", "left", "option a", "option_a", "first wins"}
SECOND = {"second", "b", "2", "right", "option b", "option_b", "second wins"}
NEITHER = {"tie", "equal", "no preference", "neither", "draw", "indifferent", "none", "both"}
INVALID = {"", "null", "nan", "na", "invalid", "refused", "unparseable"}


class ImportSettings(BaseModel):
    """How a table of votes is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability_votes: float = Field(
        default=10.0,
        gt=0,
        description="answers that a probability without a count stands for",
    )
    edges: Literal["all", "training", "holdout"] = Field(
        default="all", description="edges taken from a preference graph"
    )
    order: Literal["listed", "unknown"] = Field(
        default="listed",
        description="listed: the first column was shown first; unknown: half of the votes in each",
    )


class _Vote(NamedTuple):
    """One row: outcomes, answers for the first, for the second, for neither, and invalid ones."""

    first: int
    second: int
    wins: float
    losses: float
    undecided: float
    invalid: float


@dataclass(slots=True)
class _Names:
    """From what a table calls an outcome to its index; new names are added unless it is closed."""

    outcomes: list[Outcome]
    closed: bool
    index: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for k, outcome in enumerate(self.outcomes):
            self.index.setdefault(_key(outcome.text), k)
            self.index.setdefault(_key(outcome.id), k)

    def find(self, name: object, where: str) -> int:
        """Index of an outcome; DataError when it is unknown and the catalogue was given."""
        key = _key(name)
        if not key:
            raise DataError(f"empty outcome in {where}; fill the cell or drop the row")
        if key not in self.index:
            if self.closed:
                at = int(key) if key.isdecimal() and len(key) < 10 else len(self.outcomes)
                if at < len(self.outcomes):
                    return at
                raise DataError(
                    f"outcome {str(name)[:80]!r} in {where} is not in the catalogue; "
                    "use its ids or texts"
                )
            self.index[key] = len(self.outcomes)
            text = str(name).strip()
            self.outcomes.append(imported_outcome(text, text, where))
        return self.index[key]


def _key(name: object) -> str:
    text = f"{name:g}" if isinstance(name, float) else str(name if name is not None else "")
    return text.strip().rstrip(".").casefold()


def _columns(names: Iterable[str], path: Path) -> dict[str, str]:
    """Our name of a column -> the table's; DataError when the needed ones are missing."""
    lower = {name.strip().casefold(): name for name in names}
    found = {
        ours: lower[alias]
        for ours, aliases in ALIASES.items()
        for alias in reversed(aliases)
        if alias in lower
    }
    for ours in ("first", "second"):
        if ours not in found:
            raise DataError(
                f"no column for the {ours} outcome in {path.name!r}, which has {sorted(lower)!r}; "
                f"name it {' or '.join(ALIASES[ours][:3])}"
            )
    answered = {"choice", "probability"} & set(found) or (
        "wins" in found and {"trials", "losses"} & set(found)
    )
    if not answered:
        raise DataError(
            f"no answers in {path.name!r}, which has {sorted(lower)!r}; "
            "give a column choice, or wins and trials, or probability"
        )
    return found


def _number(value: object, what: str, where: str, high: float = np.inf) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = np.nan
    if not 0 <= number <= high:
        limit = "0..1" if high == 1 else "a number of at least 0"
        raise DataError(f"{what} {value!r} in {where}; give {limit}")
    return number


def _empty(value: object) -> bool:
    return value is None or _key(value) in INVALID


def _vote(
    row: Row, columns: Mapping[str, str], names: _Names, where: str, settings: ImportSettings
) -> _Vote:
    cell = {ours: row.get(theirs) for ours, theirs in columns.items()}
    first, second = (names.find(cell[name], where) for name in ("first", "second"))
    if first == second:
        raise DataError(f"{where} compares {cell['first']!r} with itself; drop the row")
    votes = 1.0 if _empty(cell.get("votes")) else _number(cell["votes"], "votes", where)
    if "choice" in columns:
        return _Vote(first, second, *_chosen(cell, (first, second), names, votes, where))
    if "wins" in columns:
        wins = _number(cell["wins"], "wins", where)
        losses = (
            _number(cell["losses"], "losses", where)
            if "losses" in columns
            else _number(cell["trials"], "trials", where) - wins
        )
        if losses < -1e-9:
            raise DataError(f"wins {wins!r} exceed trials in {where}; mend the row")
        return _Vote(first, second, wins, max(losses, 0.0), 0.0, 0.0)
    if _empty(cell["probability"]):
        return _Vote(first, second, 0.0, 0.0, 0.0, votes)
    p = _number(cell["probability"], "probability", where, 1)
    trials = votes if "votes" in columns else settings.probability_votes
    return _Vote(first, second, p * trials, (1 - p) * trials, 0.0, 0.0)


def _chosen(
    cell: Mapping[str, object], pair: tuple[int, int], names: _Names, votes: float, where: str
) -> tuple[float, float, float, float]:
    """Answers for the first, the second, neither, and invalid ones."""
    word = _key(cell["choice"])
    named = names.index.get(word)
    if named in pair:
        return (votes, 0.0, 0.0, 0.0) if named == pair[0] else (0.0, votes, 0.0, 0.0)
    for place, words in enumerate((FIRST, SECOND, NEITHER, INVALID)):
        if word in words:
            counts = [0.0, 0.0, 0.0, 0.0]
            counts[place] = votes
            return counts[0], counts[1], counts[2], counts[3]
    raise DataError(
        f"choice {cell['choice']!r} in {where} names neither outcome; "
        "use first, second, an outcome's id or text, no preference, or nothing if invalid"
    )


def _rows(path: Path) -> list[Row]:
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet, ".pq": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"unknown format of votes {path.name!r}; use one of {', '.join(readers)}")
    try:
        rows = reader(path)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error) as error:
        raise DataError(f"cannot read votes from {str(path)!r}: {error}; check the file") from error
    if not rows:
        raise DataError(f"no votes in {str(path)!r}; give at least one row")
    return rows


def _csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv_rows(file))


def _jsonl(path: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json_tree(line)
        except ValueError as error:
            raise DataError(f"line {number} of {path.name} is no JSON: {error}; mend it") from error
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {path.name} is {line[:60]!r}; write an object")
        rows.append(row)
    return rows


def _parquet(path: Path) -> list[Row]:
    return list(pq.read_table(path).to_pylist())


def _pooled(votes: Sequence[_Vote]) -> tuple[Cells, FloatArray]:
    """Cells [N] with one row an ordered pair, and the undecided answers [N]."""
    table = np.array(votes, dtype=float).reshape(-1, 6)
    shown, cell = np.unique(table[:, :2].astype(np.int64), axis=0, return_inverse=True)
    wins, losses, undecided, invalid = (
        np.bincount(cell.ravel(), table[:, k], len(shown)).astype(np.float64) for k in range(2, 6)
    )
    nothing = np.full(len(shown), np.nan)
    return Cells(shown[:, 0], shown[:, 1], wins, wins + losses, invalid, nothing), undecided


def _halved(votes: Sequence[_Vote]) -> list[_Vote]:
    """Half of every row's answers in either order."""
    given = [_Vote(v.first, v.second, *(x / 2 for x in v[2:])) for v in votes]
    swapped = [_Vote(v.second, v.first, v.losses, v.wins, v.undecided, v.invalid) for v in given]
    return [*given, *swapped]


def import_votes(
    path: Path, catalogue: Catalogue | None = None, settings: ImportSettings | None = None
) -> AnswerTable:
    """Read a table of votes, a published preference graph (.json), or a table of our own.

    Without a catalogue the outcomes are those that the table names, in order of appearance. Votes
    for no preference and invalid ones are kept apart; nothing is counted as one half.
    """
    settings = settings or ImportSettings()
    if not path.exists():
        raise DataError(f"no file of votes {str(path)!r}; check the path")
    if path.suffix.lower() == ".json":
        return load_graph(path, settings.edges, settings.probability_votes)
    if path.suffix.lower() == ".parquet" and AnswerTable.is_one(path):
        return AnswerTable.read(path)
    rows = _rows(path)
    columns = _columns(dict.fromkeys(name for row in rows for name in row if name), path)
    names = _Names(list(catalogue or ()), catalogue is not None)
    votes = [
        _vote(row, columns, names, f"row {number} of {path.name}", settings)
        for number, row in enumerate(rows, 1)
    ]
    cells, undecided = _pooled(votes if settings.order == "listed" else _halved(votes))
    origin = Origin(
        source=path.name,
        source_hash=file_hash(path),
        outcomes=tuple(names.outcomes),
        frames=("imported",),
        settings={name: str(value) for name, value in settings.model_dump().items()},
    )
    nothing = np.zeros(len(cells), dtype=np.int64)
    return AnswerTable(cells, undecided, nothing.astype(bool), nothing, origin)
