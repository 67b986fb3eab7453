"""Answer sheets of the hiring audit: one row per cell, and their Parquet file.

Shapes: C cells. Source: docs/references.md, key evaluation (section 1.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.hiring.prompts import PromptCondition
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray, IntArray

_KEY = b"plenary_hiring"
Kind = Literal["own", "held"]
_NUMBERS = ("resume", "variant", "other", "edit", "value", "mass", "asked", "invalid")


class SheetKey(NamedTuple):
    """One prompt in one context. `held`: decisions after the reasons given for `other`."""

    condition: PromptCondition
    kind: Kind = "own"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Answers to one prompt, one row per cell [C].

    resume, variant, edit: what was shown (edit: position in EDITS). other: the second variant (P5:
    the one compared with; held: the one whose reasons were held), -1 where there is none.
    value: log odds of an invitation, averaged over both orders (P4: expected score, P6: 1 if
    chosen, P7: NaN); NaN without a valid answer in every order. mass: least answer mass, or share
    of valid answers. asked, invalid: answers. texts: reasons or summaries, "" when none was given.
    """

    key: SheetKey
    resume: IntArray
    variant: IntArray
    other: IntArray
    edit: IntArray
    value: FloatArray
    mass: FloatArray
    asked: IntArray
    invalid: IntArray
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.resume)

    def dropped(self, least_mass: float) -> BoolArray:
        """Mask of cells without a value or with too little answer mass; they stay counted."""
        return np.isnan(self.value) | (self.mass < least_mass)

    def select(self, mask: BoolArray) -> Sheet:
        """The cells of a mask [C]."""
        columns = [getattr(self, name)[mask] for name in _NUMBERS]
        kept = tuple(text for text, keep in zip(self.texts, mask, strict=True) if keep)
        return Sheet(self.key, *columns, texts=kept)


class AuditOrigin(BaseModel):
    """Whose answers a file holds and how they were asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="backend that answered")
    prompts_hash: str = Field(description="hash of all wording")
    cues: str = Field(description="groups compared, the reference first")
    settings: dict[str, str] = Field(description="every setting, as text")
    seed: int = Field(description="root of the random streams")
    recovered: tuple[bool, ...] = Field(
        description="manipulation check, per cue: whether its group was named in both orders"
    )
    check_asked: int = Field(description="answers asked for in the manipulation check")
    check_invalid: int = Field(description="invalid answers among them")


def write_sheets(path: Path, sheets: Sequence[Sheet], origin: AuditOrigin) -> None:
    """Write every answer as Parquet, one row per cell; the origin goes into the metadata."""
    tables = []
    for sheet in sheets:
        columns = {name: pa.array(getattr(sheet, name)) for name in _NUMBERS}
        fixed = (*sheet.key.condition, sheet.key.kind)
        for name, text in zip(("prompt", "context", "statement", "kind"), fixed, strict=True):
            columns[name] = pa.array([text] * len(sheet), pa.string())
        columns["text"] = pa.array(sheet.texts, pa.string())
        tables.append(pa.table(columns))
    table = pa.concat_tables(tables)
    pq.write_table(table.replace_schema_metadata({_KEY: origin.model_dump_json()}), path)


def read_sheets(path: Path) -> tuple[list[Sheet], AuditOrigin]:
    """Read what `write_sheets` wrote; DataError if it is missing or altered."""
    try:
        table = pq.read_table(path)
        origin = AuditOrigin.model_validate_json((table.schema.metadata or {})[_KEY])
        columns = {name: table[name].to_numpy() for name in _NUMBERS}
        words = [table[name].to_pylist() for name in ("prompt", "context", "statement", "kind")]
        texts = table["text"].to_pylist()
    except (OSError, KeyError, pa.ArrowInvalid, ValidationError) as error:
        raise DataError(
            f"cannot read hiring answers from {str(path)!r}: {error}; run the audit again"
        ) from error
    sheets = []
    rows = list(zip(*words, strict=True))
    for fixed in dict.fromkeys(rows):
        mask = np.array([row == fixed for row in rows])
        picked = tuple(text for text, keep in zip(texts, mask, strict=True) if keep)
        key = SheetKey(PromptCondition(*fixed[:3]), fixed[3])
        sheets.append(Sheet(key, *(columns[name][mask] for name in _NUMBERS), texts=picked))
    return sheets, origin
