"""Importing votes: a user's CSV, TSV, JSONL or Parquet, or a published preference graph (JSON).

One row per vote or per count. Columns: two outcomes, beginning with the one shown first (by id, by
text, or, in a catalogue without numeric ids, by position from 0), and either a choice (which of the
two, or "no preference", or empty for an invalid vote), wins and trials, or a probability. Optional:
votes (how many the row stands for). A word that could name an outcome or a side has one meaning in
the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.elicitation.answer_table import AnswerTable, Origin
from plenary.errors import DataError
from plenary.hashing import content_hash
from plenary.outcomes import Catalogue, Outcome, imported_outcome
from plenary.preferences import ComparisonCounts
from plenary.safe_text import unescape_formula
from plenary.table_files import NO_VALUES, TABLES, cell_text, finite, read_rows
from plenary.untrusted import Unreadable, ending, read_tree

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

FORM = (
    "one row per vote: the outcomes first (the one shown first) and second, and a choice (first, "
    "second, the outcome's id or text, no preference, or empty if invalid); or wins and trials; or "
    "a probability"
)

FIRST = {"first", "a", "1", "left", "option a", "option_a", "first wins"}

SECOND = {"second", "b", "2", "right", "option b", "option_b", "second wins"}

NEITHER = {"tie", "equal", "no preference", "neither", "draw", "indifferent", "none", "both"}

INVALID = {"", "null", "nan", "na", "invalid", "refused", "unparseable"}

SIDES = (FIRST, SECOND, NEITHER, INVALID)

# 4.10233E+06: what a spreadsheet makes of a long number.
SHORTENED = re.compile(r"[+-]?\d(\.\d+)?[eE][+]?\d+", re.ASCII)


class ImportSettings(BaseModel):
    """How a table of votes is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability_votes: float = Field(
        default=10.0,
        gt=0,
        description="answers that a probability without a count represents",
    )
    edges: Literal["all", "training", "holdout"] = Field(
        default="all", description="edges taken from a preference graph"
    )
    order: Literal["listed", "unknown"] = Field(
        default="listed",
        description="listed: the first column was shown first; unknown: half of the votes in each",
    )


class _Vote(NamedTuple):
    """One row: outcomes, and answers for the first, for the second, for neither, and invalid."""

    first: int
    second: int
    wins: float
    losses: float
    undecided: float
    invalid: float


@dataclass(slots=True)
class _Names:
    """Maps a table's names of outcomes to indices; new names are added unless it is closed."""

    outcomes: list[Outcome]
    closed: bool
    index: dict[str, int] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    numbered: bool = False

    def __post_init__(self) -> None:
        for k, outcome in enumerate(self.outcomes):
            for key in {_key(outcome.text), _key(outcome.id)}:
                if self.index.setdefault(key, k) != k:
                    self.twice.add(key)
            self.numbered |= _key(outcome.id).isdecimal()

    def find(self, name: object, where: str) -> int:
        """Index of an outcome; DataError if it is unknown and the catalogue was given."""
        text = _text(name, where).strip()
        key = _key(text)
        if not key or key in NO_VALUES:
            raise DataError(f"empty outcome {name!r} in {where}; fill the cell or drop the row")
        if key in self.twice:
            raise DataError(
                f"outcome {text!r} in {where} is the id or text of two outcomes; rename one"
            )
        if key not in self.index:
            if self.closed:
                return self._position(text, where)
            self._check_new(key, text, where)
            self.index[key] = len(self.outcomes)
            self.outcomes.append(imported_outcome(text, text, where))
        return self.index[key]

    def _position(self, text: str, where: str) -> int:
        """Index that a number stands for; none if any id is a number, as rows could mean it."""
        at = int(text) if text.isdecimal() and len(text) < 10 else len(self.outcomes)
        if at >= len(self.outcomes) or self.numbered:
            why = ", whose ids are numbers themselves" if self.numbered else ""
            raise DataError(
                f"outcome {text[:80]!r} in {where} is not in the catalogue{why}; "
                "use its ids or texts"
            )
        return at

    def _check_new(self, key: str, text: str, where: str) -> None:
        if SHORTENED.fullmatch(text):
            raise DataError(
                f"outcome {text!r} in {where} is a number cut short; write ids in full, as text"
            )
        other = key.removesuffix(".0") if key.endswith(".0") else f"{key}.0"
        if other in self.index and other.removesuffix(".0").isdecimal():
            raise DataError(
                f"outcome {text!r} in {where} is written {other!r} elsewhere; write ids in one way"
            )


def _key(name: str) -> str:
    return name.strip().rstrip(".").casefold()


def _text(value: object, where: str) -> str:
    try:
        return cell_text(value)
    except Unreadable as error:
        raise DataError(f"{error}, in {where}") from error


def _columns(names: Iterable[str], path: Path) -> dict[str, str]:
    """Our name of a column -> the table's; DataError if the needed ones are missing."""
    lower: dict[str, str] = {}
    for name in names:
        if lower.setdefault(name.strip().casefold(), name) != name:
            raise DataError(f"column {name!r} of {path.name!r} occurs twice; rename one")
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
                f"name it {' or '.join(ALIASES[ours][:3])}; votes are {FORM}"
            )
    answered = {"choice", "probability"} & set(found) or (
        "wins" in found and {"trials", "losses"} & set(found)
    )
    if not answered:
        raise DataError(
            f"no answers in {path.name!r}, which has {sorted(lower)!r}; "
            f"give a column choice, or wins and trials, or probability; votes are {FORM}"
        )
    return found


def _unused(names: Iterable[str], used: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence on the columns that are not read, or nothing."""
    rest = [name for name in names if name not in used.values()]
    if not rest:
        return ()
    one = len(rest) == 1
    return (
        f"column{'' if one else 's'} {', '.join(map(repr, rest))} {'is' if one else 'are'} not "
        "read: every row counts, whoever voted; for the votes of some people, give a file of these",
    )


def _number(value: object, what: str, where: str, high: float = np.inf) -> float:
    try:
        number = finite(value)
    except Unreadable:
        number = np.nan
    if not 0 <= number <= high:
        limit = "0..1" if high == 1 else "a number of at least 0"
        raise DataError(f"{what} {value!r} in {where}; give {limit}")
    return number


def _vote(
    row: Row, columns: Mapping[str, str], names: _Names, where: str, settings: ImportSettings
) -> _Vote:
    """A row's answers; a choice is counted later, when the whole file is known."""
    cell = {ours: row.get(theirs) for ours, theirs in columns.items()}
    first, second = (names.find(cell[name], where) for name in ("first", "second"))
    if first == second:
        raise DataError(f"{where} compares {cell['first']!r} with itself; drop the row")
    votes = _number(cell["votes"], "votes", where) if "votes" in columns else 1.0
    if "choice" in columns:
        return _Vote(first, second, 0.0, 0.0, 0.0, votes)
    if "wins" in columns:
        wins = _number(cell["wins"], "wins", where)
        losses = (
            _number(cell["losses"], "losses", where)
            if "losses" in columns
            else _number(cell["trials"], "trials", where) - wins
        )
        if losses < -1e-9:
            raise DataError(f"wins {wins!r} exceed trials in {where}; fix the row")
        return _Vote(first, second, wins, max(losses, 0.0), 0.0, 0.0)
    if _key(_text(cell["probability"], where)) in INVALID:
        return _Vote(first, second, 0.0, 0.0, 0.0, votes)
    p = _number(cell["probability"], "probability", where, 1)
    trials = votes if "votes" in columns else settings.probability_votes
    return _Vote(first, second, p * trials, (1 - p) * trials, 0.0, 0.0)


def _chosen(votes: Sequence[_Vote], words: Sequence[str], names: _Names, path: Path) -> list[_Vote]:
    """Votes with each row's choice; a word with two meanings gets the one meaning of the file.

    A word such as 1 or A can name an outcome or a side. If the two differ in some row, rows whose
    word has only one meaning decide; DataError if there are none or they contradict each other.
    """
    named, sides = zip(*(_meanings(v, w, names) for v, w in zip(votes, words, strict=True)),
                       strict=True)  # fmt: skip
    doubtful = [w in names.index and s is not None for w, s in zip(words, sides, strict=True)]
    split = [at for at, d in enumerate(doubtful) if d and named[at] != sides[at]]
    by_name = any(n is not None and s is None for n, s in zip(named, sides, strict=True))
    by_side = any(
        s in (0, 1) and (not d or n is None) for n, s, d in zip(named, sides, doubtful, strict=True)
    )
    if split and by_name == by_side:
        raise DataError(
            f"choice {words[split[0]]!r} in row {split[0] + 1} of {path.name!r} could be the "
            "outcome of that name or a side; write first or second"
        )
    found: list[_Vote] = []
    for at, (vote, word) in enumerate(zip(votes, words, strict=True)):
        name, side = named[at], sides[at]
        place = name if side is None or (name is not None and by_name) else side
        if place is None:
            raise DataError(
                f"choice {word!r} in row {at + 1} of {path.name!r} names neither outcome; use "
                "first, second, an outcome's id or text, no preference, or nothing if invalid"
            )
        counts = [0.0] * len(SIDES)
        counts[place] = vote.invalid
        found.append(_Vote(vote.first, vote.second, *counts))
    return found


def _meanings(vote: _Vote, word: str, names: _Names) -> tuple[int | None, int | None]:
    """Position in SIDES of a word read as an outcome's name, and read as a word for a side."""
    pair, index = (vote.first, vote.second), names.index.get(word)
    named = pair.index(index) if index in pair and word not in names.twice else None
    return named, next((at for at, words in enumerate(SIDES) if word in words), None)


def _pooled(votes: Sequence[_Vote]) -> ComparisonCounts:
    """Cells [N], one row per ordered pair."""
    table = np.array(votes, dtype=float).reshape(-1, 6)
    shown, cell = np.unique(table[:, :2].astype(np.int64), axis=0, return_inverse=True)
    wins, losses, undecided, invalid = (
        np.bincount(cell.ravel(), table[:, k], len(shown)).astype(np.float64) for k in range(2, 6)
    )
    nothing = np.full(len(shown), np.nan)
    first, second = shown.T
    return ComparisonCounts(first, second, wins, wins + losses, invalid, nothing, undecided)


def _halved(votes: Sequence[_Vote]) -> list[_Vote]:
    """Half of every row's answers in each order."""
    given = [_Vote(v.first, v.second, *(x / 2 for x in v[2:])) for v in votes]
    swapped = [_Vote(v.second, v.first, v.losses, v.wins, v.undecided, v.invalid) for v in given]
    return [*given, *swapped]


def import_votes(
    path: Path, catalogue: Catalogue | None = None, settings: ImportSettings | None = None
) -> AnswerTable:
    """Read a table of votes, a published preference graph (.json), or an answer table of plenary's.

    Without a catalogue the outcomes are those that the table names, in order of appearance. Votes
    for no preference and invalid votes are counted separately; nothing counts as one half.
    """
    settings = settings or ImportSettings()
    if not path.exists():
        raise DataError(f"no file of votes at {str(path)!r}; check the path")
    if ending(path) == ".json":
        return load_graph(path, settings.edges, settings.probability_votes)
    if path.suffix.lower() == ".parquet" and AnswerTable.is_one(path):
        return AnswerTable.read(path)
    rows = read_rows(path, "votes", DataError)
    if not rows:
        raise DataError(f"no votes in {str(path)!r}; give at least one row")
    if ending(path) in (".csv", ".tsv"):
        rows = [{name: unescape_formula(str(cell)) for name, cell in row.items()} for row in rows]
    given = dict.fromkeys(name for row in rows for name in row if name)
    columns = _columns(given, path)
    names = _Names(list(catalogue or ()), catalogue is not None)
    places = [f"row {number} of {path.name}" for number in range(1, len(rows) + 1)]
    votes = [
        _vote(row, columns, names, where, settings) for row, where in zip(rows, places, strict=True)
    ]
    if "choice" in columns:
        words = [
            _key(_text(row.get(columns["choice"]), where))
            for row, where in zip(rows, places, strict=True)
        ]
        votes = _chosen(votes, words, names, path)
    cells = _pooled(votes if settings.order == "listed" else _halved(votes))
    origin = Origin(
        source=path.name,
        source_hash=content_hash(path),
        outcomes=tuple(names.outcomes),
        templates=("imported",),
        settings={name: str(value) for name, value in settings.model_dump().items()},
        notes=_unused(given, columns),
    )
    nothing = np.zeros(len(cells), dtype=np.int64)
    return AnswerTable(cells, nothing.astype(bool), nothing, origin)


Tree = Mapping[str, object]


class _Cell(NamedTuple):
    """Shown first and second, answers for the first, valid answers, invalid answers."""

    first: int
    second: int
    wins: float
    trials: float
    invalid: float


def load_graph(path: Path, edges: str = "all", probability_votes: float = 10.0) -> AnswerTable:
    """Read a preference graph; `edges` is all, training or holdout.

    probability_votes: answers that a probability without a count represents. Labels that the
    reference implementation made up itself (pseudo-labels) are left out, and so are the halves it
    puts in for unreadable answers if the answers themselves are on file.
    """
    tree = _mapping(read_tree(path, "preference graph", DataError), "file", path)
    graph = _mapping(tree.get("graph_data", tree), "graph_data", path)
    options = _options(graph.get("options", tree.get("options")), path)
    wanted = _wanted(graph, edges, path)
    raw = graph.get("edges")
    if not isinstance(raw, Mapping | list) or not raw:
        raise DataError(
            f"no edges in {path.name!r}, which has {sorted(tree)!r}; "
            "give a results file with its graph_data"
        )
    listed = list(raw.values()) if isinstance(raw, Mapping) else list(raw)
    cells, notes = _read_edges(listed, options, wanted, probability_votes, path)
    if not cells:
        raise DataError(f"no {edges!r} edge of {path.name!r} has an answer; take other edges")
    origin = Origin(
        source=path.name,
        source_hash=content_hash(path),
        outcomes=tuple(options.values()),
        templates=("imported",),
        settings={"edges": edges, "probability_votes": str(probability_votes)},
        notes=notes,
    )
    first, second, wins, trials, invalid = np.array(cells, dtype=float).T
    nothing = np.zeros(len(cells))
    table = ComparisonCounts(
        first.astype(np.int64), second.astype(np.int64), wins, trials, invalid, nothing + np.nan
    )
    return AnswerTable(table, nothing.astype(bool), nothing.astype(np.int64), origin)


def _mapping(value: object, what: str, path: Path) -> Tree:
    if not isinstance(value, Mapping):
        raise DataError(f"{what} of {path.name!r} is {str(value)[:60]!r}; it should be an object")
    return cast("Tree", value)


def _options(value: object, path: Path) -> dict[str, Outcome]:
    """The outcomes by their id as text, in the file's order."""
    if isinstance(value, Mapping):
        value = [{"id": key, "description": text} for key, text in value.items()]
    if not isinstance(value, list) or len(value) < 2:
        raise DataError(
            f"no options in {path.name!r}; it should list objects with id and description"
        )
    found: dict[str, Outcome] = {}
    bare = {not isinstance(option, Mapping) or "id" not in option for option in value}
    if len(bare) > 1:
        raise DataError(f"some options of {path.name!r} have an id, others none; give each one")
    for place, option in enumerate(value):
        where = f"option {place} of {path.name!r}"
        identity, text = _option(option, place, where)
        if identity in found:
            raise DataError(f"option {identity!r} of {path.name!r} occurs twice; keep one of them")
        found[identity] = imported_outcome(identity, text, path.name)
    return found


def _option(option: object, place: int, where: str) -> tuple[str, str]:
    if not isinstance(option, Mapping):
        return str(place), _text(option, where)
    identity = _text(option.get("id", place), where)
    return identity, _text(option.get("description") or option.get("text") or identity, where)


def _wanted(graph: Tree, edges: str, path: Path) -> set[frozenset[str]] | None:
    """The pairs to take, by their ids; None takes all."""
    if edges == "all":
        return None
    key = {"training": "training_edges", "holdout": "holdout_edge_indices"}[edges]
    listed = graph.get(key)
    if not isinstance(listed, list):
        raise DataError(f"{path.name!r} does not say which edges are {edges!r}; take all edges")
    if not all(isinstance(pair, list) for pair in listed):
        raise DataError(f"{key!r} of {path.name!r} should list pairs of ids; fix the file")
    return {frozenset(_text(end, key) for end in cast("list[object]", pair)) for pair in listed}


def _end(edge: Tree, side: str, options: Mapping[str, Outcome], where: str) -> str:
    value = edge.get(f"option_{side}_id", edge.get(f"option_{side}"))
    identity = _text(value.get("id") if isinstance(value, Mapping) else value, where)
    if identity not in options:
        raise DataError(f"{where} names option {identity!r}, which is not listed; fix the file")
    return identity


def _read_edges(
    listed: Sequence[object],
    options: Mapping[str, Outcome],
    wanted: set[frozenset[str]] | None,
    votes: float,
    path: Path,
) -> tuple[list[_Cell], tuple[str, ...]]:
    index = {identity: k for k, identity in enumerate(options)}
    cells: list[_Cell] = []
    dropped = unordered = 0
    for number, raw in enumerate(listed):
        where = f"edge {number} of {path.name!r}"
        edge = _mapping(raw, f"edge {number}", path)
        ends = tuple(_end(edge, side, options, where) for side in "AB")
        if wanted is not None and frozenset(ends) not in wanted:
            continue
        auxiliary = edge.get("aux_data")
        auxiliary = cast("Tree", auxiliary) if isinstance(auxiliary, Mapping) else {}
        if any(auxiliary.get(key) for key in ("pseudolabel", "is_pseudolabel", "pseudo")):
            dropped += 1
            continue
        a, b = index[ends[0]], index[ends[1]]
        ordered = _by_order(auxiliary, a, b, votes, where)
        unordered += not ordered
        cells += ordered or _without_order(edge, auxiliary, a, b, votes, where)
    notes = [f"{dropped} pseudo-labelled edges left out"] if dropped else []
    if unordered:
        notes.append(f"{unordered} edges do not state the order: half of their answers in each")
    return cells, tuple(notes)


def _by_order(auxiliary: Tree, a: int, b: int, votes: float, where: str) -> list[_Cell]:
    """Cells of an edge that states what was answered in which order, else nothing."""
    if "original_parsed" in auxiliary or "flipped_parsed" in auxiliary:
        original, flipped = (
            _parsed(auxiliary.get(f"{name}_parsed")) for name in ("original", "flipped")
        )
        parsed = ((a, b, original), (b, a, flipped))
        return [_counted(i, j, words) for i, j, words in parsed if words]
    probabilities = auxiliary.get("choice_probs")
    if not isinstance(probabilities, list):
        return []
    if not all(isinstance(entry, Mapping) for entry in probabilities):
        raise DataError(f"choice_probs of {where} should list objects; fix the file")
    return [_exact(a, b, cast("Tree", entry), votes, where) for entry in probabilities]


def _parsed(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _counted(first: int, second: int, words: Sequence[str]) -> _Cell:
    wins, losses = words.count("A"), words.count("B")
    return _Cell(first, second, wins, wins + losses, len(words) - wins - losses)


def _exact(a: int, b: int, entry: Tree, votes: float, where: str) -> _Cell:
    first, second = (b, a) if entry.get("direction") == "flipped" else (a, b)
    if entry.get("p_a") is None:
        return _Cell(first, second, 0.0, 0.0, 1.0)
    return _Cell(first, second, votes * _share(entry["p_a"], where), votes, 0.0)


def _share(value: object, where: str) -> float:
    try:
        share = finite(value)
    except Unreadable:
        share = np.nan
    if not 0 <= share <= 1:
        raise DataError(f"probability {value!r} in {where}; it should be in 0..1")
    return share


def _without_order(
    edge: Tree, auxiliary: Tree, a: int, b: int, votes: float, where: str
) -> list[_Cell]:
    """Half of the answers in each order, as the file does not tell them apart."""
    counts = [auxiliary.get(f"count_{side}") for side in "AB"]
    if all(isinstance(count, int | float) for count in counts):
        wins, losses = (float(cast("float", count)) for count in counts)
        if min(wins, losses) < 0:
            raise DataError(f"counts {counts!r} in {where}; they should not be negative")
        total = wins + losses
        share = wins / total if total else 0.0
    elif edge.get("probability_A") is not None:
        share, total = _share(edge["probability_A"], where), votes
    else:
        return []
    half = total / 2
    return [_Cell(a, b, share * half, half, 0.0), _Cell(b, a, (1 - share) * half, half, 0.0)]


VOTE_FILES = (*TABLES, ".json")


def is_votes(source: str | None) -> bool:
    """Whether a command-line argument names a file of answers rather than a config."""
    return source is not None and ending(Path(source)) in VOTE_FILES
