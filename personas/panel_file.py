"""Writing and reading a panel file (JSONL, CSV, Parquet): one record per citizen, and its page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError, field_validator

from personas.persona import Panel, Persona
from plenary.errors import DataError
from plenary.safe_text import unescape_formula
from plenary.table_files import NO_VALUES, read_csv, read_parquet, write_csv
from plenary.untrusted import ending, first_fault, json_tree, read_json_lines

F = TypeVar("F")
Rows = Iterator[tuple[str, object]]


class PanelRecord(Persona):
    """A citizen with the panel's facts. A CSV cell holds attitudes as JSON."""

    @field_validator("attitudes", mode="before")
    @classmethod
    def _from_cell(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json_tree(value or "[]")
        except ValueError as error:
            raise ValueError(f"attitudes are not JSON: {error}") from error

    panel_weight: float = Field(gt=0, description="weight inside the panel, mean 1")
    panel_method: str = Field(description="how the panel was drawn")
    panel_seed: int = Field(description="root seed of the draw")
    panel_raked: str = Field(
        default="", description="attributes whose margins the weights meet, joined by commas"
    )


def write_panel(panel: Panel, path: Path) -> None:
    """Write a panel as .jsonl, .csv or .parquet, depending on the path's suffix."""
    records = [
        PanelRecord(
            **dict(persona),
            panel_weight=float(weight),
            panel_method=panel.method,
            panel_seed=panel.seed,
            panel_raked=",".join(panel.raked),
        )
        for persona, weight in zip(panel.personas, panel.weight, strict=True)
    ]
    _by_ending(WRITERS, path)(records, path)


def read_panel(path: Path) -> Panel:
    """Read what `write_panel` wrote; DataError for a missing, foreign or damaged file.

    Citizens of a file without ids are numbered in its order.
    """
    reader = _by_ending(READERS, path)
    records: list[PanelRecord] = []
    for number, (place, row) in enumerate(reader(path), 1):
        known = {"id": f"c{number:03d}"} | row if isinstance(row, dict) else row
        try:
            records.append(PanelRecord.model_validate(known))
        except ValidationError as error:
            raise DataError(
                f"panel {str(path)!r}, {place}, {first_fault(error)}; fix the file"
            ) from error
    if len({(record.panel_method, record.panel_seed) for record in records}) != 1:
        raise DataError(
            f"{str(path)!r} holds citizens of no panel or of several; export one panel per file"
        )
    if len({record.id for record in records}) != len(records):
        raise DataError(f"two citizens of {str(path)!r} have the same id; number them again")
    extra = set(PanelRecord.model_fields) - set(Persona.model_fields)
    personas = tuple(Persona(**{k: v for k, v in record if k not in extra}) for record in records)
    weight = np.array([record.panel_weight for record in records])
    first = records[0]
    raked = tuple(name for name in first.panel_raked.split(",") if name)
    return Panel(personas, weight, first.panel_method, first.panel_seed, raked)


def data_sheet(panel: Panel) -> str:
    """Markdown page about a panel file: what it is, how it was drawn, and every field."""
    kinds = sorted({persona.inclusion_kind for persona in panel})
    drawn = sorted({f"{a.item}, from {a.source}" for p in panel for a in p.attitudes})
    facts = {
        "citizens": f"{len(panel)}",
        "method": panel.method,
        "seed": f"{panel.seed}",
        "inclusion probabilities": " and ".join(kinds),
        "weights meet the margins of": ", ".join(panel.raked) or "nothing: design weights",
        "design effect": f"{panel.design_effect:.3f}",
        "effective citizens": f"{panel.effective_size:.1f}",
        "donor-imputed, by weight": f"{panel.imputed_share:.1%}",
        "drawn attitudes": "; ".join(drawn) or "none",
    }
    lines = ["# Panel of simulated citizens", "", *(f"- {k}: {v}" for k, v in facts.items()), ""]
    lines += ["Names are invented, attitudes drawn; every other field is that of one record.", ""]
    lines += ["| field | type | meaning |", "|---|---|---|"]
    for name, field in PanelRecord.model_fields.items():
        kind = _kind(field.annotation)
        lines.append(f"| `{name}` | {kind} | {field.description} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: object) -> str:
    """A field's type in words: its name, or the values that it may have."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(get_args(annotation))
    return str(annotation).replace("<class '", "").replace("'>", "").replace("|", "or")


def _by_ending(formats: dict[str, F], path: Path) -> F:
    found = formats.get(ending(path))
    if found is None:
        raise DataError(f"unknown panel file format {path.name!r}; use one of {', '.join(formats)}")
    return found


def _write_jsonl(records: Sequence[PanelRecord], path: Path) -> None:
    text = "".join(record.model_dump_json() + "\n" for record in records)
    path.write_text(text, encoding="utf-8")


def _read_jsonl(path: Path) -> Rows:
    for line, row in read_json_lines(path, "panel", DataError):
        yield f"line {line}", row


def _write_parquet(records: Sequence[PanelRecord], path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([record.model_dump() for record in records]), path)


def _read_parquet(path: Path) -> Rows:
    for number, row in enumerate(read_parquet(path, "panel", DataError), 1):
        yield f"row {number}", row


def _write_csv(records: Sequence[PanelRecord], path: Path) -> None:
    rows = [record.model_dump() for record in records]
    for row in rows:
        row["attitudes"] = json.dumps(row["attitudes"])
    write_csv(path, list(PanelRecord.model_fields), (tuple(row.values()) for row in rows))


def _read_csv(path: Path) -> Rows:
    """Empty cells are None if the field allows it; pydantic reads numbers and flags from text."""
    nullable = {name for name, f in PanelRecord.model_fields.items() if "None" in str(f.annotation)}
    for number, row in enumerate(read_csv(path, "panel", DataError), 1):
        for name, cell in row.items():
            if cell.casefold() in NO_VALUES:
                raise DataError(
                    f"panel {str(path)!r}, row {number}, has {cell!r} at {name!r}; leave the cell "
                    "empty if there is no value"
                )
        yield (
            f"row {number}",
            {
                name: None if name in nullable and not v else unescape_formula(v)
                for name, v in row.items()
            },
        )


WRITERS: dict[str, Callable[[Sequence[PanelRecord], Path], None]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
