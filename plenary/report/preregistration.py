"""Report section on the preregistered plan: its lock, deviations, and the number of tests."""

from __future__ import annotations

from typing import NamedTuple

from evaluation.claims.claims import PLANNED
from evaluation.claims.evidence import PValues
from evaluation.claims.preregistration import ENDPOINTS, LockState, deviations, lock_state
from plenary.figures.page_parts import Head
from plenary.report.elements import FACTS, ReportTable, Row, Section, facts
from plenary.runs.config import flat_settings
from plenary.runs.workspace import Workspace
from plenary.safe_text import strip_hidden

TITLE = "Preregistration"
SHORT = 12


class Planning(NamedTuple):
    """The section, and a banner where the run is exploratory."""

    section: Section
    banner: str


def planning(space: Workspace, tests: int) -> Planning:
    """The run compared with its preregistered plan."""
    path, begun = space.config.analysis_plan, space.run.manifest.created
    state = None if path is None else lock_state(path)
    locked = state is not None and state.lock is not None
    evidence = PValues(
        locked=locked,
        after_lock=state is not None and state.holds_for(begun),
        tests=tests,
        hash="" if state is None else state.plan.hash[:SHORT],
    )
    finding = PLANNED.say(evidence)
    tables = () if state is None else _tables(state, space)
    section = Section(TITLE, (finding.sentence,), (), tables)
    return Planning(section, "" if finding.shown else finding.sentence)


def _tables(state: LockState, space: Workspace) -> tuple[ReportTable, ...]:
    plan, lock, begun = state.plan, state.lock, space.run.manifest.created
    when = "not locked" if lock is None else f"{lock.locked:%Y-%m-%d %H:%M:%S} UTC"
    rows = facts(
        [
            ("title", plan.title),
            ("hash of the plan", plan.hash),
            ("locked", when),
            ("edited since", "yes" if state.edited else "no"),
            ("run started", f"{begun:%Y-%m-%d %H:%M:%S} UTC"),
            ("data collected after the lock", "yes" if state.holds_for(begun) else "no"),
            ("primary endpoints", "; ".join(ENDPOINTS[name] for name in plan.primary)),
            ("exclusions", "; ".join(plan.exclusions) or "none"),
            ("stopping rule", plan.stopping),
        ]
    )
    found = deviations(plan, flat_settings(space.config))
    changed: tuple[Row, ...] = tuple(
        (d.name, strip_hidden(d.planned), strip_hidden(d.actual)) for d in found
    )
    heads = (Head("Setting"), Head("Planned"), Head("Actual"))
    told = f"{len(found)} of {len(plan.settings)} planned settings differ in this run."
    lock_table = ReportTable(f"The plan and its lock. Deviations: {told}", FACTS, rows)
    return (
        (lock_table, ReportTable(f"Deviations: {told}", heads, changed)) if found else (lock_table,)
    )
