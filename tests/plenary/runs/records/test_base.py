"""What records say of themselves."""

from __future__ import annotations

import pytest

from plenary.runs.records.panel import PopulationRecord


@pytest.mark.parametrize(
    ("source", "said"),
    [("Survey 2024 1-year Sample", "Survey 2024 1-year Sample"), ("a village", "a village, 2024")],
)
def test_a_survey_is_named_with_its_year_once(source: str, said: str) -> None:
    record = PopulationRecord(
        source=source, year=2024, universe="adults", sha256="0" * 64, rows=8, weight_sum=8.0,
        imputed_share=0.0, imputed_columns=(), notes=(),
    )  # fmt: skip
    assert record.survey == said
