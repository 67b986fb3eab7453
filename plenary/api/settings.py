"""Arguments of the front door that are settings of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from plenary.errors import ConfigError
from plenary.untrusted import first_fault

S = TypeVar("S", bound=BaseModel)


def chosen_settings(kind: type[S], chosen: Mapping[str, object], what: str) -> S:
    """Settings of a stage; ConfigError for an unknown name or a value that cannot be."""
    unknown = sorted(set(chosen) - set(kind.model_fields))
    if unknown:
        raise ConfigError(
            f"{what} takes no {unknown[0]!r}; it takes {', '.join(sorted(kind.model_fields))}"
        )
    try:
        return kind.model_validate(dict(chosen))
    except ValidationError as error:
        raise ConfigError(f"{what} {first_fault(error)}; change it") from error
