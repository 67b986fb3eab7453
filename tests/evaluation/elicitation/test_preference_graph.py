"""Published result files load, keep the order of presentation, and re-fit."""

import json

import numpy as np
import pytest

from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.importers import ImportSettings, import_votes, load_graph
from evaluation.utility.thurstonian import fit
from plenary.errors import DataError

SIDES = ("training", "holdout")
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
    assert "2 edges do not" in table.origin.notes[0]


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
        ("{", "preference graph .* is not JSON"),
        ("[1]", r"file of 'r.json' is '\[1\]'"),
        ('{"options": [], "edges": []}', "no options in 'r.json'"),
        (json.dumps({"options": OPTIONS}), r"no edges in 'r.json', which has \['options'\]"),
        (json.dumps({"options": OPTIONS, "edges": [{"option_A_id": 0, "option_B_id": 9}]}),
         "names option '9'"),
        (json.dumps({"options": OPTIONS, "edges": [{"option_A_id": 0, "option_B_id": 1}]}),
         "no 'all' edge .* has an answer"),
        (json.dumps({"options": OPTIONS, "edges": [_edge(0, 1, 3)]}), "probability 3 in edge 0"),
        (json.dumps({"options": OPTIONS * 2, "edges": []}), "option '0' .* occurs twice"),
    ],
)  # fmt: skip
def test_errors_quote_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "r.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_graph(path)


def _published(world, pairs, held, rng):
    """A results file as the reference writes it: its keys, its strings for tuples, its labels."""
    k = len(world.mu)
    options = [{"id": n, "description": f"outcome {n}"} for n in range(k)]

    def answers(i, j):
        p = float(world.p_first(np.array([[i, j]]))[0])
        return np.where(rng.random(10) < p, "A", "B").tolist()

    def edge(i, j, p, auxiliary):
        ends = {"option_A": options[i], "option_B": options[j]}
        return {**ends, "probability_A": p, "aux_data": auxiliary}

    edges = {}
    for i, j in pairs.tolist():
        parsed = answers(i, j), answers(j, i)
        count = parsed[0].count("A") + parsed[1].count("B")
        edges[f"({i}, {j})"] = edge(i, j, count / 20, {
            "original_responses": [f"{label}." for label in parsed[0]],
            "flipped_responses": parsed[1],
            "original_parsed": parsed[0], "flipped_parsed": parsed[1],
            "count_A": count, "count_B": 20 - count, "total_responses": 20,
            "unparseable_mode": "distribution",
        })  # fmt: skip
    hard = [(i, j) for i in range(k) for j in range(i) if world.mu[i] - world.mu[j] > 1.5]
    made_up = [pair for pair in hard if not {f"{pair}", f"{pair[::-1]}"} & set(edges)]
    edges |= {str(pair): edge(*pair, 1.0, {"is_pseudolabel": True}) for pair in made_up}
    graph = {
        "options": options,
        "edges": edges,
        "training_edges": [*pairs[held:].tolist(), *map(list, made_up)],
        "training_edges_pool": [],
        "holdout_edge_indices": pairs[:held].tolist(),
    }
    utilities = {str(n): {"mean": m, "variance": 0.1} for n, m in enumerate(world.mu.tolist())}
    metrics = {"accuracy": 0.9, "log_loss": 0.3}
    return {
        "options": options, "utilities": utilities, "metrics": metrics, "holdout_metrics": metrics,
        "graph_data": graph,
    }, len(made_up)  # fmt: skip


def test_a_published_file_with_pseudo_labels_is_fitted_again_to_the_planted_truth(
    tmp_path, planted
):
    rng = np.random.default_rng(4)
    world, pairs = planted(40, rng, bias=0.2), rng.permutation(balanced_pairs(40, 320, rng))
    content, made_up = _published(world, pairs, 40, rng)
    path = tmp_path / "results_model.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    everything = import_votes(path)
    assert made_up > 50
    assert everything.origin.notes == (f"{made_up} pseudo-labelled edges left out",)
    assert len(everything.pairs) == 320
    assert everything.cells.trials.sum() == 20 * 320
    training, held = (import_votes(path, None, ImportSettings(edges=e)) for e in SIDES)
    assert (len(training.pairs), len(held.pairs)) == (280, 40)
    found = fit(training.accepted, 40)
    assert (np.abs(found.mu - world.centred) < 4 * found.sd).all()
    assert found.order_bias == pytest.approx(0.2, abs=0.1)
    i, j = held.pairs.T
    truth = (world.p_first(held.pairs) + 1 - world.p_first(held.pairs[:, ::-1])) / 2
    assert np.abs(found.probability(i, j) - truth).mean() < 0.06


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
