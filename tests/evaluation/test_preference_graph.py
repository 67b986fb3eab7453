"""Published result files load, keep the order of presentation, and re-fit."""

import json

import numpy as np
import pytest

from evaluation.imported import ImportSettings, import_votes
from evaluation.preference_graph import load_graph
from evaluation.thurstonian import fit
from plenary.errors import DataError

OPTIONS = [{"id": k, "description": f"outcome {k}"} for k in range(4)]


def _edge(a, b, p=0.5, *, whole=False, **auxiliary):
    ends = (
        {"option_A": OPTIONS[a], "option_B": OPTIONS[b]}
        if whole
        else {"option_A_id": a, "option_B_id": b}
    )
    return {**ends, "probability_A": p, "aux_data": auxiliary}


def _write(tmp_path, *edges, **rest):
    graph = {
        "options": OPTIONS,
        "edges": {f"({n}, x)": edge for n, edge in enumerate(edges)},
        "training_edges": [[0, 1]],
        "holdout_edge_indices": [[3, 2]],
        **rest,
    }
    path = tmp_path / "results.json"
    content = {"options": OPTIONS, "utilities": {}, "graph_data": graph}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _rows(cells):
    columns = (cells.first, cells.second, cells.wins, cells.trials, cells.invalid)
    return np.stack(columns, axis=1).tolist()


@pytest.mark.parametrize("whole", [False, True])
def test_parsed_answers_keep_their_order_and_what_was_unreadable(tmp_path, whole):
    edge = _edge(
        0,
        1,
        0.6,
        whole=whole,
        count_A=6.5,
        count_B=1.5,
        original_parsed=["A", "A", "B", "unparseable"],
        flipped_parsed=["B", "B", "B", "A"],
    )
    table = load_graph(_write(tmp_path, edge))
    assert _rows(table.cells) == [[0, 1, 2, 3, 1], [1, 0, 1, 4, 0]]
    assert table.texts == ("outcome 0", "outcome 1", "outcome 2", "outcome 3")


def test_probabilities_of_either_order_and_missing_ones(tmp_path):
    probabilities = [
        {"direction": "original", "p_a": 0.75},
        {"direction": "flipped", "p_a": 0.5},
        {"direction": "flipped", "p_a": None},
    ]
    table = load_graph(_write(tmp_path, _edge(2, 3, choice_probs=probabilities)))
    assert _rows(table.cells) == [[2, 3, 7.5, 10, 0], [3, 2, 5, 10, 0], [3, 2, 0, 0, 1]]


def test_counts_and_bare_probabilities_go_half_into_each_order(tmp_path):
    path = _write(tmp_path, _edge(0, 1, 0.75, count_A=15, count_B=5), _edge(1, 2, 0.25))
    table = load_graph(path, probability_votes=4)
    assert _rows(table.cells) == [
        [0, 1, 7.5, 10, 0],
        [1, 0, 2.5, 10, 0],
        [1, 2, 0.5, 2, 0],
        [2, 1, 1.5, 2, 0],
    ]
    assert "2 edges do not say the order" in table.origin.notes[0]


def test_training_and_holdout_edges_are_told_apart_and_pseudo_labels_left_out(tmp_path):
    path = _write(
        tmp_path, _edge(0, 1), _edge(2, 3), _edge(1, 3, 1.0, pseudolabel=True), _edge(0, 2)
    )
    assert load_graph(path).origin.notes[0] == "1 pseudo-labelled edges left out"
    for edges, pairs in (("training", [[0, 1]]), ("holdout", [[2, 3]])):
        table = import_votes(path, None, ImportSettings(edges=edges))
        assert table.pairs.tolist() == pairs


def test_graph_may_stand_alone_and_edges_may_be_a_list(tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"options": OPTIONS, "edges": [_edge(0, 1)]}), encoding="utf-8")
    assert load_graph(path).pairs.tolist() == [[0, 1]]
    path.write_text(
        json.dumps({"options": {"x": "one", "y": "two"}, "edges": [
            {"option_A": "x", "option_B": "y", "probability_A": 1}
        ]}),
        encoding="utf-8",
    )  # fmt: skip
    assert load_graph(path).texts == ("one", "two")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read a preference graph"),
        ("[1]", r"file of 'r.json' is '\[1\]'"),
        ('{"options": [], "edges": []}', "no options in 'r.json'"),
        (json.dumps({"options": OPTIONS}), r"no edges in 'r.json', which has \['options'\]"),
        (json.dumps({"options": OPTIONS, "edges": [{"option_A_id": 0, "option_B_id": 9}]}),
         "names option '9'"),
        (json.dumps({"options": OPTIONS, "edges": [{"option_A_id": 0, "option_B_id": 1}]}),
         "no 'all' edge .* has an answer"),
        (json.dumps({"options": OPTIONS, "edges": [_edge(0, 1, 3)]}), "probability 3 in edge 0"),
        (json.dumps({"options": OPTIONS * 2, "edges": []}), "option '0' .* comes twice"),
    ],
)  # fmt: skip
def test_errors_quote_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "r.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_graph(path)


def test_a_published_graph_is_fitted_again(tmp_path):
    rng = np.random.default_rng(0)
    edges = []
    for a in range(4):
        for b in range(a):
            words = np.where(rng.random(40) < 1 / (1 + np.exp(b - a)), "A", "B").tolist()
            edges.append(_edge(a, b, original_parsed=words[:20], flipped_parsed=[
                {"A": "B", "B": "A"}[word] for word in words[20:]
            ]))  # fmt: skip
    table = load_graph(_write(tmp_path, *edges))
    found = fit(table.accepted, 4)
    assert np.argsort(found.mu).tolist() == [0, 1, 2, 3]
