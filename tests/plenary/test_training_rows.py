from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from plenary.errors import ConfigError, DataError
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate
from plenary.training_rows import SoftRow, checked_rows, rows_toward, training_templates

PLAIN = [PROMPT_TEMPLATES["plain"]]
TEXTS = ("a park opens", "a mill closes", "a bridge is built", "a bus runs")


@pytest.fixture
def targets() -> Targets:
    """All six pairs, weights that differ."""
    pairs = np.array([(a, b) for a in range(4) for b in range(a)])
    return Targets(pairs, np.linspace(0.1, 0.85, 6), np.linspace(10.0, 50.0, 6))


def test_both_orders_carry_one_preference(targets: Targets) -> None:
    rows = rows_toward(TEXTS, targets, PLAIN)
    assert len(rows) == 2 * len(targets.pairs)
    for k, (first, second) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        a, b = (TEXTS[i] for i in targets.pairs[k])
        assert first["prompt"][-1]["content"].endswith(f"Option A: {a}\nOption B: {b}")
        assert second["prompt"][-1]["content"].endswith(f"Option A: {b}\nOption B: {a}")
        assert first["target_p"] == targets.p[k]
        assert second["target_p"] == pytest.approx(1 - targets.p[k])
        assert first["weight"] == second["weight"]
        assert first.get("pair") == second.get("pair")
        assert (first.get("swapped"), second.get("swapped")) == (False, True)
    assert len({row.get("pair") for row in rows}) == len(targets.pairs)


def test_weights_are_the_votes_relative_to_their_mean(targets: Targets) -> None:
    weight = np.array([row["weight"] for row in rows_toward(TEXTS, targets, PLAIN)])
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(weight[::2], targets.weight / targets.weight.mean())


def test_every_template_asks_every_pair(targets: Targets) -> None:
    other = PromptTemplate("other", 1, "{a} or {b}?")
    rows = rows_toward(TEXTS, targets, [*PLAIN, other])
    assert len(rows) == 4 * len(targets.pairs)
    assert rows[2]["prompt"][0]["content"] == f"{TEXTS[targets.pairs[0, 0]]} or {TEXTS[0]}?"


def test_every_label_that_is_offered_stands_in_the_row(targets: Targets) -> None:
    (asked, *_) = rows_toward(TEXTS, targets, [PROMPT_TEMPLATES["pb-01"]])
    assert asked["labels"] == list(PROMPT_TEMPLATES["pb-01"].labels)


def test_pairs_without_votes_are_left_out(targets: Targets) -> None:
    p, weight = targets.p.copy(), targets.weight.copy()
    p[0], weight[0] = np.nan, 0
    assert len(rows_toward(TEXTS, replace(targets, p=p, weight=weight), PLAIN)) == 10


def _with(targets: Targets, column: str, value: float) -> Targets:
    changed = getattr(targets, column).copy()
    changed[1] = value
    return replace(targets, **{column: changed})


@pytest.mark.parametrize(
    ("column", "value", "quoted"),
    [
        ("p", 1.5, "1.5"),
        ("p", np.nan, "nan"),
        ("weight", -2.0, "-2.0"),
        ("weight", np.nan, "nan"),
        ("pairs", 4, "4"),
        ("pairs", -1, "-1"),
    ],
)
def test_meaningless_targets_are_refused(
    targets: Targets, column: str, value: float, quoted: str
) -> None:
    with pytest.raises(DataError, match=quoted):
        rows_toward(TEXTS, _with(targets, column, value), PLAIN)
    with pytest.raises(DataError, match="5"):
        rows_toward(TEXTS, replace(targets, p=targets.p[1:]), PLAIN)


def test_rows_of_any_dataset_are_read(targets: Targets) -> None:
    rows = rows_toward(TEXTS, targets, PLAIN)
    assert checked_rows(Dataset.from_list([dict(row) for row in rows])) == rows
    foreign = {"prompt": [{"role": "user", "content": "Tea or coffee?"}], "labels": ["tea", "no"],
               "target_p": 0.25, "weight": 3, "source": "a survey"}  # fmt: skip
    (found,) = checked_rows([foreign])
    assert found == {name: foreign[name] for name in ("prompt", "labels", "target_p", "weight")}


@pytest.mark.parametrize(
    ("column", "value", "quoted"),
    [
        ("target_p", 1.5, "1.5"),
        ("target_p", float("nan"), "nan"),
        ("weight", -2.0, "-2.0"),
        ("weight", float("inf"), "inf"),
        ("labels", ["A"], "'A'"),
        ("prompt", [], "prompt"),
        ("prompt", [{"role": "boss", "content": "?"}], "boss"),
        ("prompt", "Tea or coffee?", "Tea"),
    ],
)
def test_rows_that_mean_nothing_are_named(
    targets: Targets, column: str, value: object, quoted: str
) -> None:
    rows: list[dict[str, object]] = [dict(row) for row in rows_toward(TEXTS, targets, PLAIN)]
    rows[3][column] = value
    with pytest.raises(DataError, match=rf"row 3, column '{column}[^']*': .*{quoted}"):
        checked_rows(rows)


def test_rows_nobody_voted_on_are_refused(targets: Targets) -> None:
    rows = [SoftRow(**{**row, "weight": 0.0}) for row in rows_toward(TEXTS, targets, PLAIN)]
    with pytest.raises(DataError, match="none of 12"):
        checked_rows(rows)


def test_templates_kept_for_evaluation_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        PROMPT_TEMPLATES, "kept", PromptTemplate("kept", 1, "{a} or {b}?", trainable=False)
    )
    for name in ("kept", "unknown"):
        with pytest.raises(ConfigError, match=name):
            training_templates(("plain", name))
