from __future__ import annotations

import pytest

from plenary.errors import (
    BackendError,
    BudgetExceeded,
    ConfigError,
    ConvergenceError,
    DataError,
    PlenaryError,
)


@pytest.mark.parametrize(
    ("kind", "code", "standard"),
    [
        (ConfigError, 2, ValueError),
        (DataError, 3, ValueError),
        (BackendError, 4, RuntimeError),
        (BudgetExceeded, 4, RuntimeError),
        (ConvergenceError, 5, ArithmeticError),
    ],
)
def test_every_error_has_its_exit_code(
    kind: type[PlenaryError], code: int, standard: type[Exception]
) -> None:
    error = kind("what")
    assert error.exit_code == code
    assert isinstance(error, PlenaryError)
    assert isinstance(error, standard)


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = str(DataError(f"value {'x' * 10_000!r}; mend the file"))
    assert len(text) < 2100
    assert text.startswith("value 'xxx")
    assert text.endswith("; mend the file")
