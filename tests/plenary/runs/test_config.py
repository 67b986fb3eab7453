from __future__ import annotations

from pathlib import Path

import pytest

from plenary.errors import ConfigError
from plenary.runs.config import (
    PipelineConfig,
    config_hash,
    flat_settings,
    known_settings,
    load_config,
    resolved_yaml,
)


def test_changes_go_through_the_same_validation() -> None:
    config = load_config(
        None, ["assembly.rounds=3", "outcomes.exclude_topics=[pets, money]", "seed=7"]
    )
    assert config.assembly.rounds == 3
    assert config.outcomes.exclude_topics == ("pets", "money")
    assert config.seed == 7


def test_preset_is_found_by_name() -> None:
    assert load_config("quickstart").panel.citizens == 60
    assert load_config("quickstart", ["panel.citizens=12"]).panel.citizens == 12


def test_quickstart_is_as_large_as_promised() -> None:
    config = load_config("quickstart")
    assert config.outcomes.count is not None
    assert config.outcomes.count >= 60
    assert config.design.train_pairs + config.design.held_out_pairs >= 180
    assert config.assembly.rounds == 1


def test_all_settings_that_are_wrong_are_named_at_once() -> None:
    wrong = ["assembly.rounds=-1", "panel.method=dice", "citizens=3"]
    with pytest.raises(ConfigError) as caught:
        load_config(None, wrong)
    for name in ("assembly.rounds", "panel.method", "'citizens'"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("assembly.round=3", "unknown setting 'assembly.round'; the nearest known one is"),
        ("citizens=3", "unknown setting 'citizens'; the nearest known one is"),
        ("assembly.rounds=three", "setting 'assembly.rounds' has 'three'"),
        ("assembly.rounds=-1", "setting 'assembly.rounds' has -1"),
        ("panel.method=dice", "setting 'panel.method' has 'dice'"),
        ("seed.deep=1", "setting 'seed' has"),
        ("assembly", "cannot read 'assembly'; write --set a.b=value"),
        ("name=../up", "setting 'name' has '../up'"),
        ("name=[", "cannot read the value in 'name=['"),
        ("base_url=ftp://x", "setting 'base_url' has 'ftp://x'"),
        ("base_url=https://me:pw@host/v1", "must not contain a password"),
    ],
)  # fmt: skip
def test_a_bad_change_is_quoted_and_says_what_to_do(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert message in str(caught.value)


def test_a_change_below_a_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(ConfigError, match="which is a value"):
        load_config(path, ["seed.deep=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [", "fix the file"),
        ("- a", "write settings as"),
        ("sead: 1", "nearest known one is 'seed'"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_missing_file_names_the_presets() -> None:
    with pytest.raises(ConfigError, match="quickstart"):
        load_config("nothing.yaml")


def test_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert load_config(path) == PipelineConfig()


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("outcomes: {path: mine.csv}\n")
    assert load_config(path).outcomes.path == tmp_path / "mine.csv"


def test_resolved_config_reads_back(tmp_path: Path) -> None:
    config = load_config("quickstart", ["seed=5", "outcomes.exclude_topics=[pets]"])
    path = tmp_path / "c.yaml"
    path.write_text(resolved_yaml(config))
    assert load_config(path) == config


def test_hash_follows_settings_and_not_the_name() -> None:
    one, other = load_config(None, ["name=a"]), load_config(None, ["name=b"])
    assert config_hash(one) == config_hash(other)
    assert config_hash(one) != config_hash(load_config(None, ["seed=1"]))


def test_every_setting_is_known_and_described() -> None:
    known = set(known_settings())
    assert set(flat_settings(PipelineConfig())) <= known
    assert {"assembly.rounds", "outcomes.held_out", "seed"} <= known


def test_environment_is_not_a_source_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLENARY_SEED", "9")
    monkeypatch.setenv("SEED", "9")
    assert load_config(None).seed == 0


def test_ballots_and_elicitation_have_one_gate(tmp_path: Path) -> None:
    for name in ("elicitation.min_mass", "assembly.min_mass"):
        config = load_config(None, [f"{name}=0.3"])
        assert config.elicitation.min_mass == config.assembly.min_mass == 0.3
        path = tmp_path / "run.yaml"
        path.write_text(resolved_yaml(config))
        for other in ("elicitation.min_mass", "assembly.min_mass"):
            again = load_config(path, [f"{other}=0.2"])
            assert again.elicitation.min_mass == again.assembly.min_mass == 0.2
    with pytest.raises(ConfigError, match=r"set elicitation\.min_mass only"):
        load_config(None, ["elicitation.min_mass=0.3", "assembly.min_mass=0.2"])
