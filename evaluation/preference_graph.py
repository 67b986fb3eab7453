"""Published result files of emergent-values: options and a preference graph, made into cells.

A file holds "options" (id and description) and "edges" at its top or under "graph_data". An edge
has option_A and option_B (whole, or as option_A_id and option_B_id), probability_A and aux_data.
What an edge says best is taken: parsed answers of either order; else probabilities of either order;
else counts over both orders; else the probability alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from evaluation.answers import AnswerTable, Origin, file_hash
from plenary.errors import DataError
from plenary.outcomes import Outcome, imported_outcome
from plenary.preferences import Cells
from plenary.table_files import cell_text, finite
from plenary.untrusted import Unreadable, read_tree

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

    probability_votes: answers that a probability without a count stands for. Labels that the
    reference made up itself (pseudo-labels) are left out, and so are the halves it puts in for
    unreadable answers wherever the answers themselves are on file.
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
        source_hash=file_hash(path),
        outcomes=tuple(options.values()),
        frames=("imported",),
        settings={"edges": edges, "probability_votes": str(probability_votes)},
        notes=notes,
    )
    first, second, wins, trials, invalid = np.array(cells, dtype=float).T
    nothing = np.zeros(len(cells))
    table = Cells(
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
            raise DataError(f"option {identity!r} of {path.name!r} comes twice; keep it once")
        found[identity] = imported_outcome(identity, text, path.name)
    return found


def _option(option: object, place: int, where: str) -> tuple[str, str]:
    if not isinstance(option, Mapping):
        return str(place), _text(option, where)
    identity = _text(option.get("id", place), where)
    return identity, _text(option.get("description") or option.get("text") or identity, where)


def _text(value: object, where: str) -> str:
    try:
        return cell_text(value)
    except Unreadable as error:
        raise DataError(f"{error}, in {where}") from error


def _wanted(graph: Tree, edges: str, path: Path) -> set[frozenset[str]] | None:
    """The pairs to take, by their ids; None takes all."""
    if edges == "all":
        return None
    key = {"training": "training_edges", "holdout": "holdout_edge_indices"}[edges]
    listed = graph.get(key)
    if not isinstance(listed, list):
        raise DataError(f"{path.name!r} does not say which edges are {edges!r}; take all edges")
    if not all(isinstance(pair, list) for pair in listed):
        raise DataError(f"{key!r} of {path.name!r} should list pairs of ids; mend the file")
    return {frozenset(_text(end, key) for end in cast("list[object]", pair)) for pair in listed}


def _end(edge: Tree, side: str, options: Mapping[str, Outcome], where: str) -> str:
    value = edge.get(f"option_{side}_id", edge.get(f"option_{side}"))
    identity = _text(value.get("id") if isinstance(value, Mapping) else value, where)
    if identity not in options:
        raise DataError(f"{where} names option {identity!r}, which is not listed; mend the file")
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
        notes.append(f"{unordered} edges do not say the order: half of their answers in each")
    return cells, tuple(notes)


def _by_order(auxiliary: Tree, a: int, b: int, votes: float, where: str) -> list[_Cell]:
    """Cells of an edge that says what was answered in which order, else nothing."""
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
        raise DataError(f"choice_probs of {where} should list objects; mend the file")
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
        raise DataError(f"probability {value!r} in {where}; it should lie in 0..1")
    return share


def _without_order(
    edge: Tree, auxiliary: Tree, a: int, b: int, votes: float, where: str
) -> list[_Cell]:
    """Half of the answers in either order, as the file does not tell them apart."""
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
