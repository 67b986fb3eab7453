import numpy as np
import pytest
from support.held import held_from

from assembly.dataset.consensus_dataset import ConsensusDataset
from assembly.dataset.labels import build_dataset
from assembly.dataset.rows import to_dpo, to_sft
from plenary.errors import ConfigError
from plenary.prompt_templates import PROMPT_TEMPLATES


@pytest.fixture
def made() -> ConsensusDataset:
    """Three pairs at .8, .5 and (held out) .1."""
    return build_dataset(held_from(np.broadcast_to([0.8, 0.5, 0.1], (2, 8, 3))))


def options(row) -> list[str]:
    lines = row["prompt"][-1]["content"].splitlines()
    return [line.split(": ", 1)[1] for line in lines if line.startswith("Option ")]


def test_soft_rows_hold_the_share_of_the_first_label_in_both_orders(made) -> None:
    rows = made.to_soft()
    assert [row["target_p"] for row in rows] == pytest.approx([0.8, 0.2, 0.5, 0.5])
    assert options(rows[0]) == options(rows[1])[::-1]
    assert options(rows[0])[0] == "outcome 0 comes to pass"
    assert rows[0]["labels"] == ["A", "B"]
    assert np.mean([row["weight"] for row in rows]) == pytest.approx(1)
    assert made.to_soft(split="held_out")[0]["target_p"] == pytest.approx(0.1)


def test_sft_and_dpo_rows_say_the_majority_and_leave_ties_out(made) -> None:
    sft = to_sft(made, [PROMPT_TEMPLATES["plain"], PROMPT_TEMPLATES["pb-01"]])
    assert len(sft) == 4
    for row in sft:
        assert row["completion"][0]["role"] == "assistant"
    assert [row["completion"][0]["content"] for row in sft[:2]] == ["A", "B"]
    first, second = to_dpo(made)
    assert (first["chosen"][0]["content"], first["rejected"][0]["content"]) == ("A", "B")
    assert (second["chosen"][0]["content"], second["rejected"][0]["content"]) == ("B", "A")


def test_templates_kept_for_evaluation_are_not_trained_on(made) -> None:
    kept = [template for template in PROMPT_TEMPLATES.values() if not template.trainable]
    with pytest.raises(ConfigError, match="for evaluation"):
        to_sft(made, kept)
    assert to_sft(made, kept, split="held_out")


def test_rows_are_what_trl_calls_conversational(made) -> None:
    from trl.data_utils import is_conversational

    for row in (to_sft(made)[0], to_dpo(made)[0], made.to_soft()[0]):
        assert is_conversational(row)
