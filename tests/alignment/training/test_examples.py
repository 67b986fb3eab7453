from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alignment.training.examples import examples, training_templates
from plenary.errors import ConfigError, DataError
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate

PLAIN = [PROMPT_TEMPLATES["plain"]]


def test_both_orders_carry_one_preference(texts: tuple[str, ...], targets: Targets) -> None:
    rows = examples(texts, targets, PLAIN)
    assert len(rows) == 2 * len(targets.pairs)
    for k, (first, second) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        a, b = (texts[i] for i in targets.pairs[k])
        assert first.messages[-1].content.endswith(f"Option A: {a}\nOption B: {b}")
        assert second.messages[-1].content.endswith(f"Option A: {b}\nOption B: {a}")
        assert first.p_first == targets.p[k]
        assert second.p_first == pytest.approx(1 - targets.p[k])
        assert first.weight == second.weight


def test_weights_are_the_votes_relative_to_their_mean(
    texts: tuple[str, ...], targets: Targets
) -> None:
    weight = np.array([row.weight for row in examples(texts, targets, PLAIN)])
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(weight[::2], targets.weight / targets.weight.mean())


def test_every_template_asks_every_pair(texts: tuple[str, ...], targets: Targets) -> None:
    other = PromptTemplate("other", 1, "{a} or {b}?")
    rows = examples(texts, targets, [*PLAIN, other])
    assert len(rows) == 4 * len(targets.pairs)
    assert rows[2].messages[0].content == f"{texts[targets.pairs[0, 0]]} or {texts[0]}?"


def test_pairs_without_votes_are_left_out(texts: tuple[str, ...], targets: Targets) -> None:
    p, weight = targets.p.copy(), targets.weight.copy()
    p[0], weight[0] = np.nan, 0
    assert len(examples(texts, replace(targets, p=p, weight=weight), PLAIN)) == 28


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
        ("pairs", 6, "6"),
        ("pairs", -1, "-1"),
    ],
)
def test_meaningless_targets_are_refused(
    texts: tuple[str, ...], targets: Targets, column: str, value: float, quoted: str
) -> None:
    with pytest.raises(DataError, match=quoted):
        examples(texts, _with(targets, column, value), PLAIN)


def test_targets_nobody_voted_on_are_refused(texts: tuple[str, ...], targets: Targets) -> None:
    with pytest.raises(DataError, match="15"):
        examples(texts, replace(targets, weight=np.zeros(15)), PLAIN)
    with pytest.raises(DataError, match="14"):
        examples(texts, replace(targets, p=targets.p[1:]), PLAIN)


def test_templates_kept_for_evaluation_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        PROMPT_TEMPLATES, "kept", PromptTemplate("kept", 1, "{a} or {b}?", trainable=False)
    )
    for name in ("kept", "unknown"):
        with pytest.raises(ConfigError, match=name):
            training_templates(("plain", name))
