"""The run directory: manifest, lock against a second process, creating and reopening it."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import plenary
from plenary.errors import ConfigError, DataError
from plenary.hashing import content_hash
from plenary.runs.filenames import MANIFEST
from plenary.runs.files import write_text

Exists = Literal["error", "resume", "redo", "replace"]

VERSIONED = (
    "plenary", "torch", "transformers", "trl", "peft", "langgraph", "langchain-core", "numpy",
    "scipy", "pyarrow", "pydantic",
)  # fmt: skip


class StageRecord(BaseModel):
    """Inputs and outputs of a finished stage, or of an unfinished one that can be continued."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str = Field(
        description="hash of the settings, the inputs and the code of the stage"
    )
    settings: str = Field(description="hash of the settings and inputs alone")
    seconds: float = Field(
        default=0.0, ge=0, description="wall time, without sessions that were killed"
    )
    outputs: dict[str, str] = Field(default_factory=dict, description="file -> sha256")
    done: bool = Field(default=True, description="false while the stage is under way")


class RunManifest(BaseModel):
    """Provenance of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="name of the run")
    created: datetime = Field(
        description="UTC; its day is the date given to chat templates unless chat.day is set"
    )
    config_hash: str = Field(description="blake2b-64 of the settings without the name")
    seed: int = Field(description="root seed")
    deterministic: bool = Field(
        description="the same seed, machine, threads and versions give the same figures, as far "
        "as tests verify it; false if nothing verified it"
    )
    reason: str = Field(description="what was verified, or why nothing was")
    inputs: dict[str, str] = Field(default_factory=dict, description="input -> content hash")
    versions: dict[str, str] = Field(default_factory=dict, description="package -> version")
    git_revision: str | None = Field(
        default=None, description="commit of the checkout, '+' if changed"
    )
    stages: dict[str, StageRecord] = Field(default_factory=dict, description="by stage name")
    adapted: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="model -> what its endpoint refuses, and what that means for its answers",
    )
    failures: dict[str, str] = Field(
        default_factory=dict, description="model -> why its first invalid answer was invalid"
    )


@dataclass
class RunDirectory:
    """An open run directory; the manifest on disk follows every change."""

    path: Path
    manifest: RunManifest
    lock: IO[str] = field(repr=False)

    def file(self, name: str) -> Path:
        """Path of a file of the run."""
        return self.path / name

    def record(self, stage: str, record: StageRecord) -> None:
        """Record that a stage began or ended."""
        stages = {**self.manifest.stages, stage: record}
        self._update(stages=stages)

    def record_inputs(self, inputs: Mapping[str, str]) -> None:
        """Record content hashes of inputs."""
        self._update(inputs={**self.manifest.inputs, **inputs})

    def record_model(self, spec: str, notes: tuple[str, ...], failure: str) -> None:
        """Record what a model's endpoint refuses and why its first invalid answer was invalid."""
        known = self.manifest
        adapted, failures = dict(known.adapted), dict(known.failures)
        if notes:
            adapted[spec] = tuple(dict.fromkeys((*adapted.get(spec, ()), *notes)))
        if failure:
            failures.setdefault(spec, failure)
        if (adapted, failures) != (known.adapted, known.failures):
            self._update(adapted=adapted, failures=failures)

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether the stage ended under this fingerprint and its files are unchanged."""
        record = self.manifest.stages.get(stage)
        if record is None or not record.done or record.fingerprint != fingerprint:
            return False
        return all(content_hash(self.file(name)) == sha for name, sha in record.outputs.items())

    def spent(self, stage: str, fingerprint: str) -> float:
        """Seconds spent in stopped sessions on a stage begun under this fingerprint."""
        record = self.manifest.stages.get(stage)
        begun = record is not None and not record.done and record.fingerprint == fingerprint
        return record.seconds if record is not None and begun else 0.0

    def close(self) -> None:
        """Release the lock."""
        self.lock.close()

    def _update(self, **changes: object) -> None:
        self.manifest = self.manifest.model_copy(update=changes)
        write_text(self.file(MANIFEST), self.manifest.model_dump_json(indent=2) + "\n")


def open_run(root: Path, manifest: RunManifest, exists: Exists) -> RunDirectory:
    """Open `root/name`; ConfigError if it exists and `exists` does not allow using it."""
    if exists not in get_args(Exists):
        raise ConfigError(f"unknown --exists {exists!r}; use one of {', '.join(get_args(Exists))}")
    path = root / manifest.name
    _refuse_existing(path, path, exists)
    _make_folder(path)
    _refuse_foreign(path)
    lock = _locked(path)
    try:
        # Only now, because another process may have written until then.
        _refuse_existing(path, path / MANIFEST, exists)
        if exists in ("resume", "redo") and (path / MANIFEST).exists():
            return RunDirectory(path, _merged(read_manifest(path), manifest), lock)
        for child in path.iterdir():
            if child.name != ".lock":
                shutil.rmtree(child) if child.is_dir() else child.unlink()
        run = RunDirectory(path, manifest, lock)
        run.record_inputs({})
    except BaseException:
        lock.close()
        raise
    return run


def read_manifest(path: Path) -> RunManifest:
    """Read the manifest of a run directory; DataError when it is missing or malformed."""
    try:
        return RunManifest.model_validate_json((path / MANIFEST).read_bytes())
    except OSError as error:
        raise DataError(
            f"{str(path)!r} is not a run directory (it has no {MANIFEST}); check the path"
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{MANIFEST} in {str(path)!r} is malformed: {str(error)[:200]!r}; "
            "start again with --exists replace"
        ) from error


def new_manifest(
    name: str, config_hash: str, seed: int, *, deterministic: bool, reason: str
) -> RunManifest:
    """Manifest of a run about to start, with package versions and git revision."""
    return RunManifest(
        name=name,
        created=datetime.now(UTC).replace(microsecond=0),
        config_hash=config_hash,
        seed=seed,
        deterministic=deterministic,
        reason=reason,
        versions=package_versions(),
        git_revision=git_revision(),
    )


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on."""
    versions = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = plenary.__version__ if name == "plenary" else "not installed"
    return versions


def git_revision() -> str | None:
    """Commit of the code's checkout, with '+' if files differ; None outside a checkout."""
    here = Path(plenary.__file__).parents[1]
    if not (here / ".git").exists():
        return None
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+" if _git(here, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out of a run directory; ConfigError if one is using it."""
    lock = _locked(path)
    try:
        yield
    finally:
        lock.close()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot create run directory {str(path)!r}: {error.strerror}; choose another --out"
        ) from error


def _locked(path: Path) -> IO[str]:
    try:
        lock = (path / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write in run directory {str(path)!r}: {error.strerror}; give access or "
            "choose another --out"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(
            f"run directory {str(path)!r} is in use by another process; wait for it or use --name"
        ) from error
    return lock


def _refuse_existing(path: Path, sign: Path, exists: Exists) -> None:
    if exists == "error" and sign.exists():
        raise ConfigError(
            f"run directory {str(path)!r} exists; use --exists resume to continue, --exists redo "
            "to "
            "continue under other settings,  --exists replace to start again, or another --name"
        )


def _refuse_foreign(path: Path) -> None:
    links = sorted(child.name for child in path.rglob("*") if child.is_symlink())
    if links:
        raise ConfigError(
            f"{links[0]!r} in run directory {str(path)!r} is a link, which would lead writes "
            "outside; remove the link"
        )
    content = {child.name for child in path.iterdir()} - {".lock"}
    if content and MANIFEST not in content:
        raise ConfigError(
            f"{str(path)!r} contains {sorted(content)[0]!r} but no {MANIFEST}, so it is not "
            "replaced; "
            "choose another --name or --out"
        )


def _merged(old: RunManifest, new: RunManifest) -> RunManifest:
    kept = {
        name: getattr(old, name) for name in ("created", "stages", "inputs", "adapted", "failures")
    }
    if not old.deterministic:
        kept |= {"deterministic": False, "reason": old.reason}
    return new.model_copy(update=kept)


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "--no-optional-locks", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return answer.stdout.strip()
