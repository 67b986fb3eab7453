"""Outcomes (one-sentence states of the world), catalogues of them, and reading a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plenary.errors import DataError
from plenary.safe_text import unescape_formula
from plenary.table_files import cell_text, read_csv
from plenary.untrusted import Unreadable, ending, first_fault, fitted, read_json_lines, read_tree

DEFAULT_CATALOGUE = "default.yaml"


class Outcome(BaseModel):
    """One state of the world that can be preferred to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="stable identifier, unique in its catalogue")
    text: str = Field(min_length=1, description="one sentence without a final full stop")
    topic: str = Field(min_length=1, description="topic the outcome is filed under")
    ladder: str | None = Field(None, description="numeric ladder the outcome is a rung of")
    quantity: float | None = Field(
        None, allow_inf_nan=False, description="rung on the ladder, in the ladder's unit"
    )
    direction: Literal["left", "right"] | None = Field(
        None, description="political direction of a policy as US party platforms have it"
    )


def imported_outcome(identity: str, text: str, where: str) -> Outcome:
    """An outcome that a table of votes names; DataError when its text is not a sentence."""
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
    """Hold out a share of the outcomes of every topic; at least one outcome stays on each side."""
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
    """Read a catalogue: plenary YAML, the emergent-values options JSON, CSV, TSV or JSONL.

    Also packed (.gz, .zip). DataError for a missing file, an unknown format, and duplicate or
    empty outcomes.
    """
    readers = {
        ".yaml": _yaml,
        ".yml": _yaml,
        ".json": _options_json,
        ".csv": _csv,
        ".tsv": _csv,
        ".jsonl": _jsonl,
    }
    reader = readers.get(ending(path))
    if reader is None:
        raise DataError(
            f"unknown outcome file format {path.name!r}; use one of {', '.join(readers)}"
        )
    outcomes: list[Outcome] = []
    for place, row in reader(path):
        try:
            outcomes.append(fitted(Outcome, row))
        except ValidationError as error:
            raise DataError(
                f"{place} of {path.name!r} {first_fault(error)}; fix the file"
            ) from error
    if len(outcomes) < 2:
        raise DataError(
            f"{str(path)!r} holds {len(outcomes)} outcomes; a comparison needs at least 2"
        )
    return Catalogue(tuple(outcomes))


_Rows = Iterator[tuple[str, object]]


def _yaml(path: Path) -> _Rows:
    data = read_tree(path, "outcomes", DataError)
    listed = data.get("outcomes") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise DataError(
            f"outcomes {str(path)!r} start with {str(data)[:40]!r}; "
            "a YAML catalogue holds a list under 'outcomes'"
        )
    yield from ((f"outcome {number}", row) for number, row in enumerate(listed, 1))


def _options_json(path: Path) -> _Rows:
    data = read_tree(path, "outcomes", DataError)
    if not isinstance(data, Mapping) or not all(isinstance(v, list) for v in data.values()):
        raise DataError(
            f"outcomes {str(path)!r} start with {str(data)[:40]!r}; "
            "give an object of topic -> list of sentences"
        )
    for topic, sentences in data.items():
        for k, sentence in enumerate(sentences):
            row = {"id": f"{topic}-{k:03d}", "text": sentence, "topic": topic}
            yield f"sentence {k + 1} of {topic!r}", row


def _csv(path: Path) -> _Rows:
    for number, row in enumerate(read_csv(path, "outcomes", DataError), 1):
        place = f"row {number}"
        cells = {key: unescape_formula(cell) for key, cell in row.items()}
        yield place, _with_defaults(cells, number, place, path)


def _jsonl(path: Path) -> _Rows:
    rows = read_json_lines(path, "outcomes", DataError)
    for number, (line, value) in enumerate(rows, 1):
        row = {"text": value} if isinstance(value, str) else value
        if not isinstance(row, dict):
            raise DataError(
                f"line {line} of {path.name!r} holds {value!r}, neither a sentence nor an object; "
                "mend the file"
            )
        place = f"line {line}"
        yield place, _with_defaults(_named(row, place, path), number, place, path)


def _named(row: Mapping[str, object], place: str, path: Path) -> dict[str, object]:
    """A row of JSON, its names as text: identifiers are often numbers."""
    try:
        return {
            key: cell_text(value)
            if key in ("id", "topic", "ladder") and type(value) in (int, float)
            else value
            for key, value in row.items()
        }
    except Unreadable as error:
        raise DataError(f"{place} of {path.name!r}: {error}") from error


def _with_defaults(
    row: Mapping[str, object], number: int, place: str, path: Path
) -> dict[str, object]:
    """A row without its empty cells, with an id from its number and a topic if it has none."""
    kept = {k: value for k, value in row.items() if value not in ("", None) or k == "text"}
    unknown = sorted(set(kept) - set(Outcome.model_fields))
    if unknown:
        raise DataError(
            f"unknown outcome column {unknown[0]!r} in {place} of {path.name!r}; "
            f"use {', '.join(sorted(Outcome.model_fields))}"
        )
    return {"id": f"o{number - 1:04d}", "topic": "all", **kept}
