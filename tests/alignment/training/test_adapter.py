from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from alignment.training.adapter import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    base_fingerprint,
    check_adapter,
    save_adapter,
)
from alignment.training.settings import AlignmentSettings
from plenary.errors import DataError


class Stub:
    """Writes what PEFT writes."""

    def save_pretrained(
        self, save_directory: str, *, safe_serialization: bool, state_dict: object
    ) -> None:
        assert safe_serialization
        folder = Path(save_directory)
        config = {"target_modules": ["v_proj", "q_proj"], "base_model_name_or_path": "relative"}
        (folder / CONFIG).write_text(json.dumps(config))
        (folder / WEIGHTS).write_bytes(b"weights")
        (folder / "README.md").write_text("More Information Needed")


@pytest.fixture
def base(checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint("qwen2"), tmp_path / "base"))


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_adapter(Stub(), folder, base, base_fingerprint(base), AlignmentSettings(), seed=7)
    return folder


def test_saved_folder_is_whole_and_checks(base: Path, adapter: Path) -> None:
    assert {file.name for file in adapter.iterdir()} == {CONFIG, WEIGHTS, MANIFEST}
    manifest = check_adapter(adapter, base)
    assert manifest.base_sha256 == base_fingerprint(base)
    assert (manifest.seed, manifest.settings) == (7, AlignmentSettings())
    config = json.loads((adapter / CONFIG).read_text())
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert config["base_model_name_or_path"] == str(base.resolve())


def test_a_moved_base_is_the_same_base(base: Path, adapter: Path, tmp_path: Path) -> None:
    check_adapter(adapter, Path(shutil.move(base, tmp_path / "elsewhere")))


def test_other_base_weights_are_refused(base: Path, adapter: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-6
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="was trained on weights"):
        check_adapter(adapter, base)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_altered_and_missing_files_are_refused(base: Path, adapter: Path, name: str) -> None:
    with (adapter / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(DataError, match="was altered"):
        check_adapter(adapter, base)
    (adapter / name).unlink()
    with pytest.raises(DataError, match="is missing"):
        check_adapter(adapter, base)


def test_pickled_weights_are_refused(base: Path, adapter: Path) -> None:
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match=r"adapter_model\.bin"):
        check_adapter(adapter, base)
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pytorch_model\.bin"):
        base_fingerprint(base)


def test_folders_that_are_no_adapter_or_model_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="plenary align"):
        check_adapter(tmp_path, base)
    (tmp_path / MANIFEST).write_text('{"format": "other"}')
    with pytest.raises(DataError, match="adapter manifest"):
        check_adapter(tmp_path, base)
    with pytest.raises(DataError, match="nowhere"):
        base_fingerprint(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no weights"):
        base_fingerprint(tmp_path)


def test_a_checkpoint_without_config_is_refused(base: Path) -> None:
    (base / "config.json").unlink()
    with pytest.raises(DataError, match=r"config\.json"):
        base_fingerprint(base)
