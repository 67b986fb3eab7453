"""Reading and writing records, including the reason why something was not measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evaluation.batteries.base import BatteryResult
from plenary.errors import DataError, NotMeasured, measured
from plenary.runs.files import write_text

M = TypeVar("M", bound=BaseModel)

RESULTS = TypeAdapter(list[BatteryResult])


class Record(BaseModel):
    """Base of the records: frozen, without unknown fields; NaN is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Unmeasured(Record):
    """Written instead of a record, or beside files, if a stage could not measure something."""

    not_measured: dict[str, str] = Field(description="what was not measured -> why")


class ReadingRecord(Record):
    """Words of the outcomes that models did not know."""

    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a model did not know"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="reading of MODEL -> why it is unknown"
    )


def write_record(record: BaseModel, path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def write_measured(figure: Callable[[], BaseModel], path: Path) -> None:
    """Write what is measured, or instead the reason why it cannot be measured."""
    reasons: dict[str, str] = {}
    found = measured(figure, path.stem, reasons)
    write_record(Unmeasured(not_measured=reasons) if found is None else found, path)


def read_record(model: type[M], path: Path) -> M:
    """Read a record; DataError if it is missing or malformed, NotMeasured if it says so."""
    try:
        text = path.read_bytes()
        with suppress(ValidationError):
            if model is not Unmeasured:
                noted = Unmeasured.model_validate_json(text).not_measured
                raise NotMeasured("; ".join(noted.values()))
        return model.model_validate_json(text)
    except OSError as error:
        raise DataError(
            f"no {path.name!r} in {str(path.parent)!r}; run that stage first"
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{str(path)!r} is malformed: {error.errors()[0]['msg']!r}; run the stage again"
        ) from error


def write_results(results: Sequence[BatteryResult], path: Path) -> None:
    """Write results of batteries, whole or not at all."""
    write_text(path, RESULTS.dump_json(list(results), indent=2).decode() + "\n")


def read_results(path: Path) -> list[BatteryResult]:
    """The results in a file; DataError when it is missing or altered."""
    try:
        return RESULTS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"cannot read results {str(path)!r}: {error}; run plenary evaluate again"
        ) from error
