from __future__ import annotations

from pathlib import Path
from typing import IO, cast

import pytest

from plenary.errors import ConfigError, DataError
from plenary.hashing import content_hash
from plenary.runs import directory
from plenary.runs.directory import (
    Exists,
    RunManifest,
    StageRecord,
    git_revision,
    locked,
    new_manifest,
    open_run,
    package_versions,
    read_manifest,
)
from plenary.runs.filenames import MANIFEST
from plenary.runs.files import staged, write_text


def manifest(config_hash: str = "abc") -> RunManifest:
    return new_manifest("one", config_hash, 3, deterministic=True, reason="local")


def test_new_run_writes_its_manifest(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    run.close()
    again = read_manifest(tmp_path / "one")
    assert again.seed == 3
    assert again.deterministic
    assert again.versions["python"].startswith("3.")
    assert again.versions["plenary"]


def test_existing_run_is_an_error_by_default(tmp_path: Path) -> None:
    open_run(tmp_path, manifest(), "error").close()
    with pytest.raises(ConfigError, match="--exists resume"):
        open_run(tmp_path, manifest(), "error")


def test_replace_starts_with_an_empty_directory(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    write_text(run.file("old.txt"), "old")
    run.file("adapter").mkdir()
    run.close()
    run = open_run(tmp_path, manifest(), "replace")
    run.close()
    assert {path.name for path in run.path.iterdir()} == {".lock", MANIFEST}


def test_work_after_the_stages_keeps_others_out(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    run.close()
    with (
        locked(run.path),
        pytest.raises(ConfigError, match="in use by another process"),
    ):
        open_run(tmp_path, manifest(), "resume")
    open_run(tmp_path, manifest(), "resume").close()


def test_resume_keeps_stages_and_creation(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    run.record("census", StageRecord(fingerprint="f", settings="s"))
    run.record_inputs({"population": "123"})
    run.close()
    again = open_run(tmp_path, manifest("other"), "resume")
    again.close()
    assert again.manifest.stages["census"].fingerprint == "f"
    assert again.manifest.inputs == {"population": "123"}
    assert again.manifest.config_hash == "other"
    assert again.manifest.created == run.manifest.created


@pytest.fixture
def overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process does a stage and leaves just before this one takes the lock."""
    take = directory._locked

    def late(path: Path) -> IO[str]:
        monkeypatch.setattr(directory, "_locked", take)
        other = open_run(tmp_path, manifest(), "resume")
        other.record("census", StageRecord(fingerprint="f", settings="s"))
        other.close()
        return take(path)

    monkeypatch.setattr(directory, "_locked", late)


@pytest.mark.usefixtures("overtaken")
def test_what_another_process_did_before_the_lock_is_not_forgotten(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "resume")
    run.close()
    assert run.manifest.stages["census"].fingerprint == "f"


@pytest.mark.usefixtures("overtaken")
def test_a_run_that_another_process_made_before_the_lock_is_not_emptied(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists"):
        open_run(tmp_path, manifest(), "error")
    assert "census" in read_manifest(tmp_path / "one").stages
    open_run(tmp_path, manifest(), "resume").close()  # the lock was let go of


def test_resume_of_nothing_starts(tmp_path: Path) -> None:
    open_run(tmp_path, manifest(), "resume").close()
    assert (tmp_path / "one" / MANIFEST).exists()


def test_foreign_folder_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        open_run(tmp_path, manifest(), "replace")
    assert (tmp_path / "one" / "thesis.tex").exists()


def test_run_in_use_is_refused(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    with pytest.raises(ConfigError, match="in use"):
        open_run(tmp_path, manifest(), "replace")
    run.close()


def test_unknown_answer_to_exists_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'maybe'"):
        open_run(tmp_path, manifest(), cast("Exists", "maybe"))


def test_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot create run directory"):
        open_run(tmp_path / "file", manifest(), "error")


def test_stage_is_done_only_with_its_files_as_left(tmp_path: Path) -> None:
    run = open_run(tmp_path, manifest(), "error")
    write_text(run.file("a.txt"), "a")
    outputs = {"a.txt": content_hash(run.file("a.txt"))}
    run.record("s", StageRecord(fingerprint="f", settings="s", outputs=outputs))
    assert run.is_done("s", "f")
    assert not run.is_done("s", "other")
    assert not run.is_done("unknown", "f")
    write_text(run.file("a.txt"), "b")
    assert not run.is_done("s", "f")
    run.record("s", StageRecord(fingerprint="f", settings="s", done=False))
    assert not run.is_done("s", "f")
    run.close()


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "whole")

    def fail() -> None:
        with staged(path) as temporary:
            temporary.write_text("ha")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_staged_path_keeps_the_ending(tmp_path: Path) -> None:
    with staged(tmp_path / "panel.jsonl") as temporary:
        assert temporary.suffix == ".jsonl"


@pytest.mark.parametrize(("text", "message"), [(None, "not a run directory"), ("{}", "malformed")])
def test_unreadable_manifest(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path)


def test_versions_and_revision_are_known() -> None:
    assert {"python", "torch", "plenary"} <= set(package_versions())
    revision = git_revision()
    assert revision is None or len(revision) >= 40
