"""Outcomes (one-sentence states of the world), catalogues of them, and the loaders."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plenary.errors import DataError
from plenary.untrusted import csv_rows, first_fault, json_tree, yaml_tree

DEFAULT_CATALOGUE = "default.yaml"


class Outcome(BaseModel):
    """One state of the world that can be preferred to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="stable identifier, unique in its catalogue")
    text: str = Field(min_length=1, description="one sentence without a final full stop")
    topic: str = Field(min_length=1, description="topic the outcome is filed under")
    ladder: str | None = Field(None, description="numeric ladder the outcome is a rung of")
    quantity: float | None = Field(None, description="rung on the ladder, in the ladder's unit")
    direction: Literal["left", "right"] | None = Field(
        None, description="political direction of a policy as US party platforms have it"
    )


def imported_outcome(identity: str, text: str, where: str) -> Outcome:
    """An outcome that a table of votes names; DataError when it is no sentence."""
    try:
        return Outcome(
            id=identity, text=text, topic="imported", ladder=None, quantity=None, direction=None
        )
    except ValidationError as error:
        raise DataError(
            f"outcome {identity!r} in {where} has the text {text!r}: {error.errors()[0]['msg']}; "
            "mend the file"
        ) from error


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Ordered outcomes; an outcome's index here is its integer code everywhere."""

    outcomes: tuple[Outcome, ...]

    def __post_init__(self) -> None:
        for what in ("id", "text"):
            seen: set[str] = set()
            for outcome in self.outcomes:
                value = getattr(outcome, what).strip().casefold()
                if not value:
                    raise DataError(
                        f"empty {what} in outcome {outcome.id!r}; give every outcome a sentence"
                    )
                if value in seen:
                    raise DataError(
                        f"duplicate outcome {what} {getattr(outcome, what)!r}; keep it once"
                    )
                seen.add(value)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences [K]."""
        return tuple(outcome.text for outcome in self.outcomes)

    @property
    def topics(self) -> tuple[str, ...]:
        """Topic names in order of first appearance."""
        return tuple(dict.fromkeys(outcome.topic for outcome in self.outcomes))

    def select(self, indices: Iterable[int]) -> Catalogue:
        """A smaller catalogue with the given outcomes, in the given order."""
        return Catalogue(tuple(self.outcomes[k] for k in indices))


class OutcomeSplit(NamedTuple):
    """Outcome indices used for training, and those never trained on (both sorted)."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def split_outcomes(catalogue: Catalogue, held_out: float, rng: np.random.Generator) -> OutcomeSplit:
    """Hold out a share of the outcomes of every topic; overall, at least one stays on each side."""
    held: list[int] = []
    carried = 0.0
    for topic in catalogue.topics:
        members = np.array([k for k, o in enumerate(catalogue) if o.topic == topic])
        exact = held_out * len(members) + carried
        count = min(round(exact), len(members))
        carried = exact - count
        held.extend(rng.permutation(members)[:count].tolist())
    everything = np.arange(len(catalogue))
    chosen = np.isin(everything, held)
    if chosen.all() or not chosen.any():
        raise DataError(
            f"held-out share {held_out!r} leaves one side of {len(catalogue)} outcomes empty; "
            "choose another"
        )
    return OutcomeSplit(everything[~chosen], everything[chosen])


def configs_folder() -> Path:
    """Folder of the shipped presets: inside the wheel, else beside the checkout's packages."""
    packaged = Path(str(resources.files("plenary"))) / "configs"
    return packaged if packaged.is_dir() else packaged.parents[1] / "configs"


def default_outcomes() -> Catalogue:
    """The catalogue that ships with plenary."""
    return load_outcomes(configs_folder() / "outcomes" / DEFAULT_CATALOGUE)


def load_outcomes(path: Path) -> Catalogue:
    """Read a catalogue: plenary YAML, the emergent-values options JSON, CSV or JSONL.

    Raises DataError for a missing file, an unknown format, and duplicate or empty outcomes.
    """
    readers = {
        ".yaml": _yaml,
        ".yml": _yaml,
        ".json": _options_json,
        ".csv": _csv,
        ".jsonl": _jsonl,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"unknown outcome file format {path.name!r}; use one of {', '.join(readers)}"
        )
    try:
        rows = reader(path.read_text(encoding="utf-8"))
        outcomes = tuple(Outcome.model_validate(row) for row in rows)
    except OSError as error:
        raise DataError(
            f"cannot read outcomes from {str(path)!r}: {error.strerror}; check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is not UTF-8: {error.reason}; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{str(path)!r} is no CSV table: {error}; mend the file") from error
    except ValidationError as error:
        raise DataError(
            f"an outcome in {path.name!r} {first_fault(error)}; mend the file"
        ) from error
    if len(outcomes) < 2:
        raise DataError(
            f"{str(path)!r} holds {len(outcomes)} outcomes; a comparison needs at least 2"
        )
    return Catalogue(outcomes)


def _parsed(text: str, parse: Callable[[str], object], kind: str) -> object:
    try:
        return parse(text)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"not valid {kind}: {str(error)[:120]!r}; mend the file") from error


def _yaml(text: str) -> list[object]:
    data = _parsed(text, yaml_tree, "YAML")
    if not isinstance(data, dict) or not isinstance(data.get("outcomes"), list):
        raise DataError(
            f"outcome file starts with {text[:40]!r}; "
            "a YAML catalogue holds a list under 'outcomes'"
        )
    return data["outcomes"]


def _options_json(text: str) -> list[object]:
    data = _parsed(text, json_tree, "JSON")
    if not isinstance(data, Mapping) or not all(isinstance(v, list) for v in data.values()):
        raise DataError(
            f"outcome file starts with {text[:40]!r}; give an object of topic -> list of sentences"
        )
    return [
        {"id": f"{topic}-{k:03d}", "text": sentence, "topic": topic}
        for topic, sentences in data.items()
        for k, sentence in enumerate(sentences)
    ]


def _with_defaults(rows: Iterable[Mapping[str, object]]) -> list[object]:
    known = set(Outcome.model_fields)
    result: list[object] = []
    for k, row in enumerate(rows):
        kept = {
            key: value for key, value in row.items() if value not in ("", None) or key == "text"
        }
        unknown = set(kept) - known
        if unknown:
            raise DataError(
                f"unknown outcome column {sorted(unknown)[0]!r}; use {', '.join(sorted(known))}"
            )
        result.append({"id": f"o{k:04d}", "topic": "all", **kept})
    return result


def _csv(text: str) -> list[object]:
    return _with_defaults(csv_rows(io.StringIO(text)))


def _jsonl(text: str) -> list[object]:
    rows = [_parsed(line, json_tree, "JSONL") for line in text.splitlines() if line.strip()]
    return _with_defaults(_as_row(row) for row in rows)


def _as_row(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    raise DataError(f"outcome line {value!r} is neither a sentence nor an object; mend the file")
