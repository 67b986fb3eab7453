"""Small tables of a run as columns for the viewer: citizens, pairs and outcomes.

Shapes: K outcomes, P pairs, C citizens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assembly.aggregation.consensus import Consensus
from census_data.cells import band_labels
from census_data.schema import BANDS
from evaluation.comparison.utility_shift import UtilityShift
from personas.persona import Panel, Persona
from plenary.preferences import FloatArray
from plenary.runs import filenames
from plenary.runs.plan import Plan
from plenary.safe_text import strip_hidden
from plenary.viewer.store import Columns, Value

# Attributes by which ballots can be broken down, in the order in which they are offered.
ATTRIBUTES = (
    "region",
    "age",
    "sex",
    "race_origin",
    "education",
    "household_income",
    "employment",
    "marital",
    "tenure",
    "metro",
    "nativity",
)
NO_ANSWER = "does not apply"
SHIFTS = ("before", "after", "target", "shift", "low", "high")


def category(persona: Persona, attribute: str) -> str:
    """A citizen's category in an attribute; ages and incomes in bands."""
    value = getattr(persona, attribute)
    if value is None:
        return NO_ANSWER
    if attribute not in BANDS:
        return str(value)
    edges = BANDS[attribute]
    return band_labels(edges)[int(np.searchsorted(np.array(edges), value, side="right"))]


def ordered(attribute: str, categories: Sequence[str]) -> tuple[str, ...]:
    """The categories that occur; bands from low to high, others in alphabetical order."""
    there = set(categories)
    if attribute in BANDS:
        bands = (*band_labels(BANDS[attribute]), NO_ANSWER)
        return tuple(band for band in bands if band in there)
    return tuple(sorted(there))


def citizens(panel: Panel) -> Columns:
    """One row per citizen [C]."""
    named: dict[str, list[Value]] = {
        name: [strip_hidden(str(getattr(person, name) or "")) for person in panel]
        for name in ("id", "name", "sex", "race_origin", "education", "region", "state")
    }
    said = [strip_hidden(f"{p.name} {p.id} {p.state} {p.occupation or ''}").lower() for p in panel]
    return {
        "number": list(range(len(panel))),
        "weight": panel.weight.tolist(),
        "age": [person.age for person in panel],
        "band": [category(person, "age") for person in panel],
        "occupation": [strip_hidden(person.occupation or "") for person in panel],
        "said": said,
        **named,
    }


def pairs(plan: Plan, run: Path) -> Columns:
    """One row per pair [P]; `contested` is NULL until the ballots are counted."""
    decided = (
        Consensus.read(run / filenames.CONSENSUS) if (run / filenames.CONSENSUS).exists() else None
    )
    outcomes = plan.outcomes
    both = [(outcomes[a], outcomes[b]) for a, b in plan.pairs.tolist()]
    unknown: list[Value] = [None] * len(both)
    columns = {
        name: unknown if decided is None else _plain(getattr(decided, name))
        for name in ("low", "high")
    }
    trained = len(plan.train_pairs)
    return {
        "number": list(range(len(both))),
        "first_text": [strip_hidden(first.text) for first, _ in both],
        "second_text": [strip_hidden(second.text) for _, second in both],
        "topic": [strip_hidden(first.topic) for first, _ in both],
        "side": ["train" if k < trained else "held_out" for k in range(len(both))],
        "contested": unknown if decided is None else decided.contested.astype(int).tolist(),
        "said": [
            strip_hidden(f"{a.text} {b.text} {a.topic} {b.topic}", 2000).lower() for a, b in both
        ],
        **columns,
    }


def outcomes(plan: Plan, run: Path) -> Columns:
    """One row per outcome [K]; utilities are NULL until they are fitted.

    `has_moved` is NULL if so many outcomes moved that there is no common scale.
    """
    size = len(plan.outcomes)
    values = {name: np.full(size, np.nan) for name in SHIFTS}
    moved: list[Value] = [None] * size
    for side in filenames.SIDES:
        path = run / filenames.shift_file(side)
        if not path.exists():
            continue
        shift = UtilityShift.read(path)
        places = np.array(getattr(plan, side))
        for name in SHIFTS:
            values[name][places] = getattr(shift, name)
        if shift.scale_holds:
            for place, flag in zip(places.tolist(), shift.moved.tolist(), strict=True):
                moved[place] = int(flag)
    held = set(plan.held_out)
    return {
        "number": list(range(size)),
        "text": [strip_hidden(outcome.text) for outcome in plan.outcomes],
        "topic": [strip_hidden(outcome.topic) for outcome in plan.outcomes],
        "side": ["held_out" if k in held else "train" for k in range(size)],
        "has_moved": moved,
        "said": [strip_hidden(f"{o.text} {o.topic} {o.id}").lower() for o in plan.outcomes],
        **{name: _plain(column) for name, column in values.items()},
    }


def _plain(values: FloatArray) -> list[Value]:
    return [None if np.isnan(value) else value for value in values.tolist()]
