"""The utility fit that a table of answers calls for: Thurstone's, or Davidson's with ties."""

from __future__ import annotations

from evaluation.elicitation.answer_table import AnswerTable
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit


def fit_table(
    table: AnswerTable, settings: FitSettings | None = None, *, ties: bool = False
) -> UtilityFit:
    """Fit the answers that count; by Davidson's model where some chose neither, or if `ties`."""
    return fit_answers(table.accepted, len(table.origin.outcomes), settings, ties=ties)
