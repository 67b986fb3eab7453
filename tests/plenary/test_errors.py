from __future__ import annotations

import pytest

from plenary.errors import (
    BackendError,
    BudgetExceeded,
    ConfigError,
    ConvergenceError,
    DataError,
    PlenaryError,
    check_all,
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


def _refuse(error: PlenaryError) -> None:
    raise error


def test_checks_are_all_made_and_what_they_found_is_one_error() -> None:
    alone = DataError("no file")
    with pytest.raises(DataError) as caught:
        check_all([lambda: None, lambda: _refuse(alone)])
    assert caught.value is alone
    with pytest.raises(ConfigError) as both:
        check_all([lambda: _refuse(ConfigError("too few")), lambda: _refuse(alone)])
    assert "too few" in str(both.value)
    assert "no file" in str(both.value)
    check_all([])


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = str(DataError(f"value {'x' * 10_000!r}; mend the file"))
    assert len(text) < 2100
    assert text.startswith("value 'xxx")
    assert text.endswith("; mend the file")
