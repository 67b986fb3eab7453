from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from alignment.experiments.control_table import ControlRow, ControlTable
from alignment.experiments.estimates import ScoreEstimate, WordingGain
from alignment.publish.hub import FILES, hub_folder, push_to_hub
from alignment.publish.model_card import NOT_INTENDED, TargetProvenance, model_card
from alignment.training.adapter import AdapterManifest
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align, open_aligned
from evaluation.claims.evidence import Toward
from evaluation.comparison.compare import Comparison, ComparisonSettings, compare, target_cells
from plenary.errors import BackendError, DataError
from plenary.preferences import Targets
from plenary.training_rows import SoftRow

SETTINGS = AlignmentSettings(epochs=1, batch=30, replay_weight=0)
MOVED = Toward(
    0.1, 0.3, None, beyond_retest=True, away_beyond_retest=False, trained_low=0.1, seeds=1
)
ORIGIN = TargetProvenance(
    'lab: "small" #1', "apache-2.0", 60, 184, "ACS 2024", "embedded", "f" * 64, 0.22, True, MOVED
)


@pytest.fixture
def comparison(targets: Targets) -> Comparison:
    before = Targets(targets.pairs, 1 - targets.p, targets.weight)
    sides = (target_cells(before), target_cells(targets))
    return compare(*sides, targets, 0.95, ComparisonSettings(bootstrap=200), 0)


@pytest.fixture
def adapter(checkpoint: Callable[[str], Path], rows: list[SoftRow], tmp_path: Path) -> Path:
    align(checkpoint("qwen2"), rows, SETTINGS, tmp_path / "adapter", 0)
    return tmp_path / "adapter"


def manifest_of(folder: Path) -> AdapterManifest:
    return AdapterManifest.model_validate_json((folder / "plenary_adapter.json").read_text())


def test_the_card_says_what_was_and_was_not_shown(adapter: Path, comparison: Comparison) -> None:
    card = model_card(manifest_of(adapter), ORIGIN, comparison, None, None)
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == ORIGIN.base
    assert yaml.safe_load(head)["license"] == "apache-2.0"
    assert f"{100 * comparison.gain:+.1f} points ({100 * comparison.gain_low:+.1f} to" in body
    assert "No control arms were run" in body
    assert "Not measured." in body
    assert "Simulated citizens are not people" in body
    assert "model organism" in body
    assert all(line in body for line in NOT_INTENDED)
    assert "More Information Needed" not in body
    assert "nan" not in body.lower().replace("finances", "")
    other = model_card(
        manifest_of(adapter), ORIGIN._replace(embedded=False), comparison, None, None
    )
    assert "model organism" not in other


def test_the_card_states_the_transfer_to_other_wordings(
    adapter: Path, comparison: Comparison
) -> None:
    some = ScoreEstimate(value=0.2, low=0.1, high=0.3)
    fields = {
        "arm": "assembly", "seeds": 5, "agreement": some, "gain": some, "behind": None, "kl": 0.1,
        "of_ceiling": 0.9, "kl_gain": some, "kl_behind": None, "similarity": None, "bits": None,
        "directional_gain": 0.8, "side_effect": None, "incoherence": 0.0, "drift_untouched": None,
        "kl_neutral": 0.01, "accuracy": None, "empty": None, "repeated": None, "verdicts": {},
        "seconds": 1.0, "wordings": WordingGain(share=0.7, worst=0.1, above_half=some),
    }  # fmt: skip
    unsure = WordingGain(
        share=0.6, worst=0.1, above_half=ScoreEstimate(value=0.02, low=-0.1, high=0.1)
    )
    rows = tuple(
        ControlRow.model_validate({**fields, **changes})
        for changes in ({}, {"wordings": unsure}, {"wordings": None})
    )
    arms = ControlTable(agreement_before=0.6, kl_before=0.7, ceiling=0.97, pairs=80, rows=rows)
    card = model_card(manifest_of(adapter), ORIGIN, comparison, None, arms)
    assert "| 0.70 | 0.010 |" in card
    assert "| 0.60 (half is not shown) | 0.010 |" in card
    assert "| not measured | 0.010 |" in card


def test_the_card_does_not_claim_a_gain_that_is_none(adapter: Path, comparison: Comparison) -> None:
    def card(**changes: object) -> str:
        origin = ORIGIN._replace(toward=MOVED._replace(**changes))
        return model_card(manifest_of(adapter), origin, comparison, None, None)

    assert "moved toward" in card()
    flat = card(outcomes_low=-0.1, outcomes_high=0.1, trained_low=None)
    re_asked = card(beyond_retest=False, trained_low=None)
    for told in (flat, re_asked):
        assert "no movement toward the assembly beyond that of asking again" in told
        assert "moved" not in told.partition("## Intended use")[0].partition("no movement")[0]
    away = {
        "outcomes_low": -0.2,
        "outcomes_high": -0.1,
        "beyond_retest": False,
        "trained_low": None,
    }
    assert "moved away" in card(**away, away_beyond_retest=True)
    assert "moved away" not in card(**away, away_beyond_retest=False)


def test_the_folder_is_what_a_hub_holds_and_still_loads(
    adapter: Path, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    base = checkpoint("qwen2")
    folder = hub_folder(adapter, base, "lab/small", "# card\n", tmp_path / "hub")
    assert {file.name for file in folder.iterdir()} == set(FILES)
    assert (folder / "README.md").read_text() == "# card\n"
    text = (folder / "adapter_config.json").read_text() + manifest_of(folder).model_dump_json()
    assert str(base) not in text
    assert str(tmp_path) not in text
    assert (
        json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        == "lab/small"
    )
    assert (
        manifest_of(folder).files["adapter_model.safetensors"]
        == manifest_of(adapter).files["adapter_model.safetensors"]
    )
    assert "+" in open_aligned(base, folder).name
    hub_folder(adapter, base, "lab/small", "# new card\n", folder)
    assert (folder / "README.md").read_text() == "# new card\n"


def test_foreign_folders_and_bases_are_refused(
    adapter: Path, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="other files"):
        hub_folder(adapter, checkpoint("qwen2"), "lab/small", "", tmp_path / "mine")
    with pytest.raises(DataError, match="was trained on weights"):
        hub_folder(adapter, checkpoint("gpt2"), "lab/small", "", tmp_path / "hub")


def test_offline_nothing_is_pushed(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks 'README\.md'"):
        push_to_hub(adapter, "lab/small")
    (adapter / "README.md").write_text("# card\n")
    with pytest.raises(BackendError, match="cannot push to 'lab/small'"):
        push_to_hub(adapter, "lab/small")
