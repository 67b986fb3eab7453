"""Report sections on which outcomes moved, and on the shifts of the test-retest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.comparison.utility_shift import UtilityShift, on_scale
from plenary.figures.page_parts import Head
from plenary.figures.svg import histogram
from plenary.preferences import FloatArray
from plenary.report.elements import UTILITIES, Drawing, Row, Section, three
from plenary.report.results import Results
from plenary.runs import filenames
from plenary.runs.fits import load_fits
from plenary.runs.records.assembly import RetestRecord

MOVED = 10

MOVEMENTS = (
    Head("Outcome"),
    Head("Topic"),
    Head("Assembly", True),
    Head("Before", True),
    Head("After", True),
    Head("Change", True),
    Head("Direction"),
    Head("Gives an answer", True),
)


def moved(results: Results, order: FloatArray, count: int | None = None) -> tuple[Row, ...]:
    """Rows of held-out outcomes in descending `order` [K], on the scale before training."""
    u = results.held_out
    if u is None:
        return ()
    s = u.shift
    toward = np.abs(s.before - s.target) - np.abs(s.after - s.target)
    return tuple(
        (
            u.texts[k],
            u.topics[k].replace("_", " "),
            f"{s.target[k]:+.2f}",
            f"{s.before[k]:+.2f}",
            f"{s.after[k]:+.2f}",
            f"{s.shift[k]:+.2f} ({s.low[k]:+.2f} to {s.high[k]:+.2f})",
            _direction(s, k, float(toward[k])),
            f"{three(s.mass_before[k])} to {three(s.mass_after[k])}",
        )
        for k in np.argsort(-order, kind="stable")[:count].tolist()
    )


def _direction(shift: UtilityShift, k: int, toward: float) -> str:
    if not shift.moved[k]:
        return "within noise"
    return "toward" if toward > 0 else "away"


def most_moved(results: Results) -> tuple[Row, ...]:
    """The held-out outcomes whose fitted utility changed most."""
    if results.held_out is None:
        return ()
    rows = moved(results, np.abs(results.held_out.shift.shift), MOVED)
    return _columns(results, [row[:-1] for row in rows])


def all_moved(results: Results) -> tuple[Row, ...]:
    """All held-out outcomes, the assembly's favourites first."""
    if results.held_out is None:
        return ()
    return _columns(results, moved(results, results.held_out.assembly.mu))


def moved_heads(results: Results) -> tuple[Head, ...]:
    """Columns of the table of held-out outcomes; a direction only if there is a common scale."""
    return tuple(h for h in MOVEMENTS if h.name != "Direction" or _scale_holds(results))


def _scale_holds(results: Results) -> bool:
    return results.held_out is not None and results.held_out.shift.scale_holds


def _columns(results: Results, rows: Sequence[Row]) -> tuple[Row, ...]:
    if _scale_holds(results):
        return tuple(rows)
    at = [head.name for head in MOVEMENTS].index("Direction")
    return tuple((*row[:at], *row[at + 1 :]) for row in rows)


def moved_caption(results: Results) -> str:
    """Caption of the table of moved outcomes, with whether its scale can be trusted."""
    if results.held_out is None:
        return f"Not measured: {results.not_measured[UTILITIES]}"
    s, settings = results.held_out.shift, results.comparison.settings
    scale = "Utilities are on the model's scale before training (mean 0, standard deviation 1)"
    if settings.anchors:
        scale += ", fixed by the outcomes named in advance"
    said = f"{scale}; intervals are {settings.level:.0%}. {_retest_note(results.retest, s)}"
    correlation = (
        f"rank correlation with the assembly's utilities {s.correlation_before:.2f} before, "
        f"{s.correlation_after:.2f} after"
    )
    if s.scale_holds:
        return (
            f"{int(s.moved.sum())} of {len(s.shift)} held-out outcomes moved: significantly, at a "
            f"false discovery rate of {settings.false_discovery:g}, and farther than the largest "
            f"shift of the test-retest; {correlation}. {said} Answer noise after training is "
            f"{1 / s.spread_ratio:.2f} times that before; this is not a movement of outcomes."
        )
    return (
        "Most held-out outcomes moved, so there is no common scale on which a single outcome can "
        "be "
        f"said to have moved. Only ranks can be compared: {correlation}. To test single outcomes, "
        f"name in advance outcomes that will not move (comparison.anchors). {said}"
    )


def _retest_note(retest: RetestRecord | None, shift: UtilityShift) -> str:
    """How the unchanged model was asked again, and what this says about the standard errors."""
    how = (
        "the model before training, asked again with a new seed"
        if retest is not None and retest.asked_again
        else "the model before training, one order of each pair compared with the other order (its "
        "answers are exact probabilities, so the same question would only give the same answer)"
    )
    return f"Test-retest: {how}. Its shifts were {shift.inflation:.2f} times their standard errors."


SOURCES = {
    "outcome": "outcomes",
    "wording": "wording, by pair",
    "template": "wording, for all pairs alike",
    "position": "presentation order",
    "sampling": "sampling",
}


def retest_section(results: Results) -> Section:
    """The shifts of the test-retest beside the observed ones."""
    title = "Shifts compared with the test-retest"
    if results.held_out is None:
        return Section(title, (f"Not measured: {results.not_measured[UTILITIES]}",))
    first, second = load_fits(results.space, filenames.RETESTS, "held_out")
    null = np.abs(on_scale(first, second).values - first.mu)
    seen = np.abs(results.held_out.shift.shift)
    limit = float(np.median(results.held_out.shift.threshold))
    finding = (
        f"The median shift is {np.median(seen):.2f} with training and {np.median(null):.2f} in the "
        f"test-retest; the largest are {seen.max():.2f} and {null.max():.2f}."
    )
    sides = (("before", null), ("after", seen))
    drawing = histogram(
        sides, "size of an outcome's shift", "Shifts compared with the test-retest", finding
    )
    caption = (
        f"{finding} {len(seen)} held-out outcomes. Outlined bars: the test-retest, the "
        "unchanged model compared with itself. Filled bars: after training. A shift counts only if "
        "it exceeds its outcome's limit, which grows with the outcome's standard error (median "
        f"limit {limit:.2f}). If nothing moved, 95 % of runs would have no shift beyond its limit."
    )
    return Section(title, (), (Drawing(drawing, caption),))
