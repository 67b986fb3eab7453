"""Labels by other rules, and by a function of the user's own, through the chain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assembly.aggregation.electorate import Electorate, RuleResult, by_score
from assembly.aggregation.rules import RULES
from assembly.dataset.consensus_dataset import ConsensusDataset
from assembly.record.ballots import AFTER
from assembly.record.settings import RuleName
from evaluation.utility.thurstonian import UtilityFit
from plenary.errors import ConfigError
from plenary.pipeline.assembly import ASSEMBLY_STAGES, with_rule
from plenary.pipeline.run import run_stages
from plenary.pipeline.stage import Stage
from plenary.preferences import FloatArray
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import ConsensusRecord
from plenary.runs.records.base import read_record
from plenary.runs.workspace import Workspace
from plenary.stages.comparison import compare_models
from plenary.stages.elicitation import ask_model, elicit_retest
from plenary.stages.utilities import fit_utilities

TEXTS = [f"the town plants {k} trees" for k in range(24)]


def last_wins(electorate: Electorate) -> RuleResult:
    """A rule that no settings name: the outcome listed last, whatever was voted."""
    return by_score(np.arange(electorate.outcomes, dtype=np.float64), electorate.pairs)


def _world(path: Path, utilities: FloatArray) -> str:
    table = dict(zip(TEXTS, utilities.tolist(), strict=True))
    path.write_text(json.dumps({"utilities": table}), encoding="utf-8")
    return f"planted:{path}"


def _decided(folder: Path, stages: tuple[Stage, ...], *more: str) -> Workspace:
    rng = np.random.default_rng(0)
    path = folder / "outcomes.csv"
    path.write_text("\n".join(["id,text,topic", *(f"o{k},{t},town" for k, t in enumerate(TEXTS))]))
    utilities = rng.standard_normal(24)
    config = load_config(
        None,
        [
            f"outcomes.path={path}", "outcomes.count=24", "outcomes.held_out=0.5",
            "design.train_pairs=24", "design.held_out_pairs=24", "panel.citizens=14",
            f"model={_world(folder / 'before.json', utilities)}", "comparison.bootstrap=200",
            f"citizens_model={_world(folder / 'citizens.json', 2 * utilities)}",
            "dataset.paraphrased=0", *more,
        ],
    )  # fmt: skip
    return run_stages(config, folder / "runs", "resume", stages, NullWatcher())


def _measured(space: Workspace) -> Workspace:
    """The measuring stages, with a model after that did not change."""
    ask_model(space, space.model(space.config.model), "after")
    elicit_retest(space)
    fit_utilities(space)
    compare_models(space)
    return space


@pytest.mark.parametrize(
    "rule", ["borda", pytest.param("multilevel_thurstonian", marks=pytest.mark.exhaustive)]
)
def test_another_rule_runs_through_the_chain(tmp_path: Path, rule: RuleName) -> None:
    space = _measured(_decided(tmp_path, ASSEMBLY_STAGES, f"dataset.rule={rule}"))
    record = read_record(ConsensusRecord, space.file("consensus.json"))
    assert record.rule == rule
    assert 0.5 < record.half_agreement <= 1
    assert record.ceiling_low <= record.ceiling <= record.ceiling_high
    voted = space.electorate(AFTER)
    held = np.flatnonzero(space.held_out_mask)
    own = Electorate(
        voted.shares[:, held], voted.pairs[held], voted.weights, 24, voted.strata,
        voted.strata_shares,
    )  # fmt: skip
    np.testing.assert_allclose(space.targets("held_out").p, RULES[rule](own).p)
    made = ConsensusDataset.read(space.file(filenames.DATASET) / "consensus.parquet")
    np.testing.assert_array_equal(made.p, space.consensus.p)
    assert made.provenance.settings["dataset.rule"] == f'"{rule}"'
    assert set(made.calls) == {14 * 4}
    fitted = UtilityFit.load(space.file(filenames.fit_stem("assembly", "held_out")))
    assert (fitted.omega == 0) is (rule == "multilevel_thurstonian")


def test_a_function_of_ones_own_makes_the_labels(tmp_path: Path) -> None:
    plain = _decided(tmp_path, ASSEMBLY_STAGES)
    before = plain.run.manifest.stages
    stages = with_rule(ASSEMBLY_STAGES, "last-wins", last_wins)
    space = _measured(_decided(tmp_path, stages))
    assert space.run.manifest.stages["convene"] == before["convene"]
    np.testing.assert_array_equal(
        space.consensus.p, (space.consensus.pairs[:, 0] > space.consensus.pairs[:, 1]).astype(float)
    )
    record = read_record(ConsensusRecord, space.file("consensus.json"))
    assert record.rule == "last-wins"
    assert record.ceiling == record.half_agreement == 1
    fitted = UtilityFit.load(space.file(filenames.fit_stem("assembly", "train")))
    assert np.corrcoef(fitted.mu, np.arange(12))[0, 1] > 0.8
    made = ConsensusDataset.read(space.file(filenames.DATASET) / "consensus.parquet")
    assert made.provenance.settings["dataset.rule"] == '"last-wins"'
    again = _decided(tmp_path, ASSEMBLY_STAGES)
    np.testing.assert_array_equal(again.consensus.p, plain.consensus.p)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match="'borda' is a built-in rule"):
        with_rule(ASSEMBLY_STAGES, "borda", last_wins)
