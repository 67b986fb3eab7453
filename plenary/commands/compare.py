"""`plenary compare`: comparing two files of votes, before and after, outside a run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation.comparison.compare import ComparisonSettings
from evaluation.comparison.utility_shift import NullPair, UtilityShift, anchor_places, utility_shift
from evaluation.consistency.test_retest import orders_apart
from evaluation.elicitation.answer_table import AnswerTable, _mean
from evaluation.utility.fitting import fit_table
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.commands.elicit import Record, _made
from plenary.commands.loose_outputs import claim
from plenary.errors import DataError
from plenary.seeding import generator


class ComparedAnswers(NamedTuple):
    """Answers before, after, and before again (retest); the target; all on the same catalogue."""

    before: AnswerTable
    after: AnswerTable
    again: AnswerTable | None
    target: AnswerTable | None


def compare_votes(
    sides: ComparedAnswers,
    fitting: FitSettings,
    settings: ComparisonSettings,
    output: Path,
    exists: str = "resume",
) -> Record:
    """Fit before and after on the same outcomes and say which of them moved.

    exists: what to do with an existing comparison of other answers or settings, as in `claim`.
    """
    texts, ids = _same_outcomes(sides), [outcome.id for outcome in sides.before.origin.outcomes]
    asked = [table for table in sides[:3] if table is not None]
    ties = any(table.accepted.undecided.any() for table in asked)
    before, after = (fit_table(table, fitting, ties=ties) for table in sides[:2])
    target = before if sides.target is None else fit_table(sides.target, fitting)
    shift = utility_shift(
        before,
        after,
        target,
        settings,
        retest=_retest(sides, before, fitting, ties=ties),
        asked=(sides.before.accepted, sides.after.accepted),
        anchors=anchor_places(settings, ids, ids),
    )
    made = _made(fitting, settings, **sides._asdict())
    claim([output], made, "--name or --out", exists)
    shift.write(output)
    record: Record = {
        "shift": str(output),
        "outcomes": len(texts),
        "moved": int(shift.moved.sum()),
        "moved_outcomes": _moved(shift, texts),
        "decisiveness_ratio": round(shift.spread_ratio, 4),
        "anchored": round(shift.anchored, 4),
        "scale_holds": shift.scale_holds,
        "retest_inflation": None if np.isnan(shift.inflation) else round(shift.inflation, 4),
        "order_bias_before": round(before.order_bias, 4),
        "order_bias_after": round(after.order_bias, 4),
        "undecided_before": round(sides.before.accepted.undecided_share, 4),
        "undecided_after": round(sides.after.accepted.undecided_share, 4),
        "mean_answer_mass_before": _mean(sides.before.cells.mass),
        "mean_answer_mass_after": _mean(sides.after.cells.mass),
        "warnings": _warnings(sides, shift),
    }
    if sides.target is not None:
        record["correlation_with_target_before"] = round(shift.correlation_before, 4)
        record["correlation_with_target_after"] = round(shift.correlation_after, 4)
    return record


def _retest(
    sides: ComparedAnswers, before: UtilityFit, fitting: FitSettings, *, ties: bool
) -> list[NullPair]:
    """The test-retest: the model before asked again, or its two orders compared, or none."""
    if sides.again is not None:
        return [(before, fit_table(sides.again, fitting, ties=ties))]
    try:
        halves = orders_apart(sides.before, generator(0, "null", "orders"))
        first, second = (fit_table(half, fitting, ties=ties) for half in halves)
    except DataError:
        return []
    return [(first, second)]


def _same_outcomes(sides: ComparedAnswers) -> tuple[str, ...]:
    texts = [table.texts for table in sides if table is not None]
    if any(other != texts[0] for other in texts[1:]):
        raise DataError(
            f"the tables have {[len(some) for some in texts]!r} outcomes that are not the same; "
            "give one catalogue with --outcomes, or elicit both from the same one"
        )
    return texts[0]


def _moved(shift: UtilityShift, texts: tuple[str, ...]) -> list[Record]:
    """The outcomes that moved, largest shift first."""
    order = np.argsort(-np.abs(shift.shift))
    return [
        {
            "text": texts[int(k)],
            "shift": round(float(shift.shift[k]), 3),
            "low": round(float(shift.low[k]), 3),
            "high": round(float(shift.high[k]), 3),
        }
        for k in order[shift.moved[order]]
    ]


def _warnings(sides: ComparedAnswers, shift: UtilityShift) -> list[str]:
    found = []
    if not shift.scale_holds:
        found.append(
            "most outcomes moved, so there is no common scale and single rows mean nothing: name "
            "in "
            "advance outcomes that will not move (comparison.anchors)"
        )
    if not np.array_equal(sides.before.pairs, sides.after.pairs):
        found.append(
            "before and after were not asked the same pairs, so the standard errors are too small"
        )
    if sides.before.origin.template_hashes != sides.after.origin.template_hashes:
        found.append("before and after were not asked with the same templates")
    if np.isnan(shift.inflation):
        found.append(
            "no test-retest: give --retest with the first model's answers, asked again with a "
            "new seed"
        )
    elif sides.again is None:
        found.append(
            "test-retest from the two orders of each pair; --retest with the first model, asked "
            "again, would be better"
        )
    notes = [note for table in sides if table is not None for note in table.origin.notes]
    return [*found, *dict.fromkeys(notes)]
