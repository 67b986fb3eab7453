"""The exceptions that plenary raises; a message quotes the offending value and says what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
_LONGEST = 2000


class PlenaryError(Exception):
    """Base of every error raised on purpose; the command line exits with its `exit_code`."""

    exit_code = 1

    def __str__(self) -> str:
        """The message; where a quoted value is long, the middle is cut out."""
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 500]} ... {text[-450:]}"


class ConfigError(PlenaryError, ValueError):
    """A setting, option or combination of options that cannot be used."""

    exit_code = 2


class DataError(PlenaryError, ValueError):
    """A file or table that is missing, altered or malformed."""

    exit_code = 3


class NotMeasured(DataError):
    """A figure that the data cannot show; the message is the reason."""


class BackendError(PlenaryError, RuntimeError):
    """A language model that cannot be opened or reached, or whose answers cannot be used."""

    exit_code = 4


class UnusableAnswers(BackendError):
    """Too few of a model's answers are valid to continue; what was recorded is kept."""


class BudgetExceeded(BackendError):
    """The budget of calls, tokens or seconds is used up; what was recorded is kept."""


class ConvergenceError(PlenaryError, ArithmeticError):
    """A fit or a training run that did not reach its stated tolerance."""

    exit_code = 5


def together(faults: Sequence[str]) -> str:
    """Several messages as one, numbered; a single one as it is."""
    if len(faults) == 1:
        return faults[0]
    listed = "; ".join(f"({number}) {fault}" for number, fault in enumerate(faults, 1))
    return f"{len(faults)} things do not fit: {listed}"


def check_all(checks: Sequence[Callable[[], object]]) -> None:
    """Make every check, then raise what they found as one error, of the first one's kind."""
    faults: list[PlenaryError] = []
    for check in checks:
        try:
            check()
        except PlenaryError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise type(faults[0])(together([str(fault) for fault in faults])) from faults[0]


def measured(figure: Callable[[], T], name: str, reasons: dict[str, str]) -> T | None:
    """The figure, or None if it is not measured; the reason is then added to `reasons[name]`."""
    try:
        return figure()
    except (NotMeasured, ConvergenceError) as error:
        reasons[name] = str(error)
        return None
