"""A user's own votes: tolerant of names and formats, strict about meaning."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.importers import ImportSettings, import_votes
from evaluation.utility.thurstonian import fit
from plenary.errors import DataError
from plenary.outcomes import Catalogue, Outcome

ROWS = (
    {"option_a": "tea", "option_b": "milk", "winner": "tea"},
    {"option_a": "tea", "option_b": "milk", "winner": "B"},
    {"option_a": "milk", "option_b": "tea", "winner": "first"},
    {"option_a": "milk", "option_b": "water", "winner": "No preference"},
    {"option_a": "water", "option_b": "tea", "winner": ""},
)


def _write(tmp_path, kind, rows=ROWS):
    path = tmp_path / f"votes.{kind}"
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_each_format_gives_the_same_cells(tmp_path, kind):
    table = import_votes(_write(tmp_path, kind))
    assert table.texts == ("tea", "milk", "water")
    cells = table.cells
    shown = [tuple(pair) for pair in np.stack([cells.first, cells.second], axis=1).tolist()]
    assert shown == [(0, 1), (1, 0), (1, 2), (2, 0)]
    assert cells.wins.tolist() == [1, 1, 0, 0]
    assert cells.trials.tolist() == [2, 1, 0, 0]
    assert cells.invalid.tolist() == [0, 0, 0, 1]
    assert table.cells.undecided.tolist() == [0, 0, 1, 0]
    assert np.isnan(cells.mass).all()
    assert len(table.origin.source_hash) == 64


def test_columns_that_are_not_read_are_named(tmp_path):
    rows = ({"first": "x", "second": "y", "choice": "x", "voter": "Ann", "mood": "good"},)
    (note,) = import_votes(_write(tmp_path, "csv", rows)).origin.notes
    assert "'voter', 'mood'" in note
    assert import_votes(_write(tmp_path, "jsonl")).origin.notes == ()


@pytest.mark.parametrize("row", [{"x": "tea", "y": "milk"}, {"first": "tea", "second": "milk"}])
def test_a_file_of_another_form_is_refused_with_the_form_that_is_read(tmp_path, row):
    with pytest.raises(DataError) as caught:
        import_votes(_write(tmp_path, "csv", (row,)))
    for column in ("first", "second", "choice", "wins", "trials", "probability"):
        assert column in str(caught.value)


def test_counts_probabilities_and_weights(tmp_path):
    rows = ({"first": "x", "second": "y", "wins": 3, "trials": 4},)
    assert import_votes(_write(tmp_path, "csv", rows)).cells.wins.tolist() == [3]
    rows = ({"first": "x", "second": "y", "count_A": 3, "count_B": 5},)
    assert import_votes(_write(tmp_path, "jsonl", rows)).cells.trials.tolist() == [8]
    rows = ({"a": "x", "b": "y", "probability": 0.25},)
    cells = import_votes(_write(tmp_path, "jsonl", rows)).cells
    assert (cells.wins.tolist(), cells.trials.tolist()) == ([2.5], [10])
    rows = ({"a": "x", "b": "y", "choice": "x", "votes": 7},)
    assert import_votes(_write(tmp_path, "csv", rows)).cells.wins.tolist() == [7]


def test_catalogue_gives_ids_texts_and_positions(tmp_path):
    fields = {"topic": "t", "ladder": None, "quantity": None, "direction": None}
    catalogue = Catalogue(
        tuple(Outcome(id=f"o{k}", text=f"Outcome {k}", **fields) for k in range(3))
    )
    rows = (
        {"a": "o2", "b": "outcome 0.", "choice": "a"},
        {"a": 1, "b": "O0", "choice": "outcome 0"},
    )
    table = import_votes(_write(tmp_path, "csv", rows), catalogue)
    assert table.cells.first.tolist() == [1, 2]
    assert table.cells.wins.tolist() == [0, 1]
    unknown = _write(tmp_path, "csv", ({"a": "o9", "b": "o1", "choice": "a"},))
    with pytest.raises(DataError, match=r"'o9' in row 1 of votes.csv is not in the catalogue"):
        import_votes(unknown, catalogue)


def test_unknown_order_puts_half_of_the_votes_in_each(tmp_path):
    rows = ({"a": "x", "b": "y", "wins": 6, "trials": 8},)
    table = import_votes(_write(tmp_path, "csv", rows), None, ImportSettings(order="unknown"))
    assert table.cells.wins.tolist() == [3, 1]
    assert table.cells.trials.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (({"x": 1, "second": 2, "choice": "a"},), "no column for the first outcome.*'x'"),
        (({"first": 1, "second": 2},), "no answers in .*; give a column choice"),
        (({"first": "p", "second": "q", "choice": "r"},), "choice 'r' in row 1 .*neither outcome"),
        (({"first": "p", "second": "p", "choice": "p"},), "row 1 .* compares 'p' with itself"),
        (({"first": "p", "second": "q", "p": 1.5},), r"probability '1.5' in row 1 .*0\.\.1"),
        (({"first": "p", "second": "q", "wins": 3, "trials": 2},), "wins 3.0 exceed trials"),
        (({"first": "p", "second": "q", "wins": -3, "trials": 2},), "wins '-3' in row 1"),
        (({"first": "", "second": "q", "choice": "q"},), "empty outcome '' in row 1"),
    ],
)
def test_errors_quote_the_value_and_its_place(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        import_votes(_write(tmp_path, "csv", rows))


def test_unreadable_files_are_plain_errors(tmp_path):
    for name, text, message in (
        ("v.xml", "", r"unknown format of votes 'v.xml'"),
        ("v.csv", "", "no votes in"),
        ("v.jsonl", "[1]", r"line 1 of 'v.jsonl' is '\[1\]'; write an object"),
        ("w.jsonl", "{", "line 1 of 'w.jsonl'"),
        ("v.parquet", "nothing", "cannot read votes"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            import_votes(tmp_path / name)


def test_a_table_of_our_own_comes_back_whole(tmp_path):
    table = import_votes(_write(tmp_path, "csv"))
    table.write(tmp_path / "own.parquet")
    again = import_votes(tmp_path / "own.parquet")
    assert again.origin == table.origin
    assert np.array_equal(again.cells.wins, table.cells.wins)
    assert np.array_equal(again.cells.undecided, table.cells.undecided)
    with pytest.raises(DataError, match="cannot read answers"):
        AnswerTable.read(_write(tmp_path, "parquet"))


def test_imported_votes_can_be_fitted(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for _ in range(1500):
        a, b = rng.choice(12, 2, replace=False).tolist()
        won = rng.random() < 1 / (1 + np.exp(b - a))
        rows.append({"left": f"item {a}", "right": f"item {b}", "vote": "left" if won else "right"})
    table = import_votes(_write(tmp_path, "csv", rows))
    found = fit(table.accepted, len(table.texts))
    rank = [int(text.split()[1]) for text in table.texts]
    assert np.corrcoef(found.mu, rank)[0, 1] > 0.95


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.json"])
def test_a_missing_file_is_called_missing(tmp_path, name):
    with pytest.raises(DataError, match=f"no file of votes .*{name}'; check the path"):
        import_votes(tmp_path / name)
