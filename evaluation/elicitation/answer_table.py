"""The answer table as a file (Parquet): one row per cell, with no-preference counts and origin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.elicitation.elicit import Elicitation
from plenary.errors import DataError
from plenary.outcomes import Outcome
from plenary.preferences import BoolArray, ComparisonCounts, IntArray
from plenary.prompt_templates import prompt_template

_KEY = b"plenary_answers"

CELL_COLUMNS = tuple(field.name for field in fields(ComparisonCounts))

_KINDS = pa.schema(
    [(name, pa.int64() if name in ("first", "second") else pa.float64()) for name in CELL_COLUMNS]
    + [("excluded", pa.bool_()), ("template", pa.int64())]
)


def settings_as_text(settings: BaseModel) -> dict[str, str]:
    """Every setting with its value, as stored in an origin."""
    return {name: json.dumps(value) for name, value in settings.model_dump(mode="json").items()}


class Origin(BaseModel):
    """Where a table of answers comes from; stored in the file's metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="backend that answered, or name of the file imported")
    source_hash: str = Field(default="", description="content hash of an imported file")
    outcomes: tuple[Outcome, ...] = Field(description="what the outcome indices mean")
    templates: tuple[str, ...] = Field(description="templates that the column `template` counts in")
    template_hashes: tuple[str, ...] = Field(
        default=(), description="hash of each template's words"
    )
    settings: dict[str, str] = Field(
        default_factory=dict, description="every setting of the elicitation or import, as text"
    )
    seed: int = Field(default=0, description="root of the random streams")
    notes: tuple[str, ...] = Field(default=(), description="what was dropped or assumed")


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """Answers of one subject, one row per cell [N]; the one form in which answers are stored.

    cells: answers as given. excluded: cells that do not count (answer mass below the threshold).
    template: position in `origin.templates`.
    """

    cells: ComparisonCounts
    excluded: BoolArray
    template: IntArray
    origin: Origin

    @property
    def accepted(self) -> ComparisonCounts:
        """The cells [N] with excluded ones emptied (no valid answers, the mass still recorded)."""
        return self.cells.emptied(self.excluded)

    @property
    def texts(self) -> tuple[str, ...]:
        """The outcomes' sentences [K]."""
        return tuple(outcome.text for outcome in self.origin.outcomes)

    @property
    def pairs(self) -> IntArray:
        """The distinct pairs [P, 2] asked, smaller index first, sorted."""
        shown = np.stack([self.cells.first, self.cells.second], axis=1)
        return np.unique(np.sort(shown, axis=1), axis=0).reshape(-1, 2)

    @property
    def usable(self) -> BoolArray:
        """Mask [N] of the cells that count and have an answer."""
        return ~self.excluded & self.cells.answered

    def select(self, mask: BoolArray | IntArray) -> AnswerTable:
        """The cells selected by a mask [N] or by positions."""
        rest = (self.excluded[mask], self.template[mask])
        return AnswerTable(self.cells.select(mask), *rest, self.origin)

    def to_arrow(self) -> pa.Table:
        """The columns of the cells and the two others, with the origin as metadata."""
        columns = {name: getattr(self.cells, name) for name in CELL_COLUMNS}
        columns |= {"excluded": self.excluded, "template": self.template}
        return pa.table(columns).replace_schema_metadata({_KEY: self.origin.model_dump_json()})

    def write(self, path: Path) -> None:
        """Write as Parquet."""
        pq.write_table(self.to_arrow(), path)

    @classmethod
    def write_parts(cls, parts: Iterable[AnswerTable], origin: Origin, path: Path) -> None:
        """Write the cells of all parts as one table, with one part in memory at a time."""
        empty = ComparisonCounts(*(np.empty(0, dtype=kind) for kind in (int, int, *[float] * 4)))
        none = (np.empty(0, dtype=bool), np.empty(0, dtype=np.int64))
        with pq.ParquetWriter(path, cls(empty, *none, origin).to_arrow().schema) as writer:
            for part in parts:
                writer.write_table(part.to_arrow())

    @classmethod
    def read(cls, path: Path) -> AnswerTable:
        """Read what `write` wrote; DataError if it is missing or altered."""
        try:
            table = pq.read_table(path)
            origin = Origin.model_validate_json((table.schema.metadata or {})[_KEY])
            table = table.select(list(_KINDS.names)).cast(_KINDS)
            if any(column.null_count for column in table.columns):
                raise pa.ArrowInvalid("cells are empty")
            cells = ComparisonCounts(*(table[name].to_numpy() for name in CELL_COLUMNS))
            excluded, templates = (table[name].to_numpy() for name in ("excluded", "template"))
        except (OSError, KeyError, pa.ArrowException, ValidationError) as error:
            raise DataError(
                f"cannot read answers from {str(path)!r}: {error}; elicit or import them again"
            ) from error
        ends = np.concatenate([cells.first, cells.second, [0]])
        # A part of an elicitation names no outcomes; they are in the whole table.
        known = len(origin.outcomes) or np.inf
        if ends.min() < 0 or ends.max() >= known:
            raise DataError(
                f"{str(path)!r} has answers about outcome {int(ends.max())!r} of {known}; "
                "elicit or import them again"
            )
        return cls(cells, excluded, templates, origin)

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether a file is such a table, rather than a user's own."""
        try:
            return _KEY in (pq.read_schema(path).metadata or {})
        except (OSError, pa.ArrowInvalid):
            return False


def answer_table(
    answers: Elicitation,
    outcomes: tuple[Outcome, ...],
    source: str,
    settings: dict[str, str],
    seed: int,
) -> AnswerTable:
    """An elicitation about `outcomes` [K] as an answer table."""
    templates = answers.templates
    return AnswerTable(
        answers.cells,
        answers.excluded,
        answers.template,
        Origin(
            source=source,
            outcomes=outcomes,
            templates=templates,
            template_hashes=tuple(prompt_template(name).text_hash for name in templates),
            settings=settings,
            seed=seed,
        ),
    )


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 4) if len(known) else None
