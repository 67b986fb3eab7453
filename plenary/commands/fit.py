"""`plenary fit`: fitting utilities to a file of votes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.importers import ImportSettings, import_votes
from evaluation.utility.fitting import fit_table
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.commands.elicit import Record, _made
from plenary.commands.loose_outputs import claim
from plenary.errors import ConfigError
from plenary.outcomes import load_outcomes
from plenary.table_files import write_csv
from plenary.untrusted import first_fault


def read_votes(
    path: Path, outcomes: Path | None, edges: str = "all", order: str = "listed"
) -> AnswerTable:
    """A table of answers written by plenary or by the user, or a published preference graph."""
    try:
        settings = ImportSettings.model_validate({"edges": edges, "order": order})
    except ValidationError as error:
        raise ConfigError(f"the reading {first_fault(error)}; change the option") from error
    return import_votes(path, load_outcomes(outcomes) if outcomes else None, settings)


def votes_record(tables: Sequence[AnswerTable]) -> Record:
    """Counts of files of votes, for a dry run: using them asks no model."""
    return {
        "calls": 0,
        "tokens": 0,
        "files": [table.origin.source for table in tables],
        "outcomes": [len(table.texts) for table in tables],
        "pairs": [len(table.pairs) for table in tables],
        "answers": [float(table.accepted.trials.sum()) for table in tables],
        "invalid": [float(table.cells.invalid.sum()) for table in tables],
        "notes": [note for table in tables for note in table.origin.notes],
    }


def fit_votes(
    table: AnswerTable, settings: FitSettings, stem: Path, exists: str = "resume"
) -> Record:
    """Fit a table of answers and write `stem`.parquet and .json, and the ranking as .csv.

    exists: what to do with an existing fit of other answers or settings, as in `claim`.
    """
    fitted = fit_table(table, settings)
    outputs = [stem.with_name(f"{stem.name}{end}") for end in (".csv", ".parquet", ".json")]
    claim(outputs, _made(settings, answers=table), "--name or --out", exists)
    fitted.save(stem)
    _write_ranking(fitted, table, stem.with_suffix(".csv"))
    order = np.argsort(-fitted.mu)
    return {
        "utilities": str(stem.with_suffix(".csv")),
        "source": table.origin.source,
        "outcomes": len(fitted.mu),
        "pairs": len(table.pairs),
        "answers": float(table.accepted.trials.sum()),
        "undecided_share": round(table.accepted.undecided_share, 4),
        "converged": fitted.converged,
        "order_bias": round(fitted.order_bias, 4),
        "lapse": round(fitted.lapse, 4),
        "link": fitted.settings.link,
        "tie": round(fitted.tie, 4),
        "log_likelihood": round(fitted.log_likelihood, 3),
        "components": int(fitted.component.max()) + 1,
        "separated": int(fitted.separated.sum()),
        "most_preferred": [table.texts[k] for k in order[:3]],
        "least_preferred": [table.texts[k] for k in order[-3:]],
        "notes": list(table.origin.notes),
    }


def _write_ranking(fitted: UtilityFit, table: AnswerTable, path: Path) -> None:
    """Outcomes by decreasing utility, as CSV."""
    rows: list[Sequence[object]] = []
    for rank, k in enumerate(np.argsort(-fitted.mu).tolist(), 1):
        outcome = table.origin.outcomes[k]
        figures = (Decimal(f"{fitted.mu[k]:.6f}"), Decimal(f"{fitted.sd[k]:.6f}"))
        rows.append((rank, outcome.id, *figures, outcome.text))
    write_csv(path, ("rank", "id", "utility", "standard_error", "text"), rows)
