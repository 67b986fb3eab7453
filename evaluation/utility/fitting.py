"""Which utility model fits an answer table: Thurstone's, or Davidson's if there are ties."""

from __future__ import annotations

from evaluation.elicitation.answer_table import AnswerTable
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit


def fit_table(
    table: AnswerTable, settings: FitSettings | None = None, *, ties: bool = False
) -> UtilityFit:
    """Fit the answers that count; by Davidson's model if some chose neither, or if `ties`."""
    return fit_answers(table.accepted, len(table.origin.outcomes), settings, ties=ties)
