"""Audits and batteries as results that show themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from evaluation.batteries.base import BatteryResult
from evaluation.hiring.change import AlignmentEffect
from evaluation.hiring.findings import HiringFindings
from plenary.errors import ConfigError, DataError
from plenary.figures.svg import Range, ranges
from plenary.results.display import AFTER, BEFORE, draw_ranges, open_axes, piece, said
from plenary.runs.records.base import read_results, write_results
from plenary.table import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class AuditResult:
    """A hiring audit: verdict, gap and placebo limit for each group against the first.

    before: findings of the model. after, effects: of the second model, and what changed; None and
    () where one model was audited.
    """

    before: HiringFindings
    after: HiringFindings | None = None
    effects: tuple[AlignmentEffect, ...] = ()

    def _sides(self) -> dict[str, HiringFindings]:
        return {"before": self.before} | ({} if self.after is None else {"after": self.after})

    def table(self) -> Table:
        """One row per model and contrast. gap: log odds of yes, compared group minus reference."""
        rows = (
            (
                when, f.compared, f.reference, f.gap.value, f.gap.low, f.gap.high, f.p_holm,
                f.placebo.limit, f.verdict.words,
            )
            for when, found in self._sides().items()
            for f in found.findings
        )  # fmt: skip
        names = ["model", "compared", "reference", "gap", "low", "high", "p", "placebo", "verdict"]
        return Table.of(names, rows, repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """One row per model and contrast."""
        return self.table().to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Gaps with intervals, the band of what unrelated cues make behind them; the axes."""
        sides = self._sides()
        drawn = open_axes(axes, len(sides) * len(self.before.findings))
        labels = [f"{f.compared} against {f.reference}" for f in self.before.findings]
        for (name, found), colour, lift in zip(
            sides.items(), (BEFORE, AFTER), (0.1, -0.1), strict=False
        ):
            rows = [(f.gap.value, f.gap.low, f.gap.high) for f in found.findings]
            draw_ranges(drawn, labels, rows, colour, name, lift)
        limit = max((f.placebo.limit for f in self.before.findings), default=0.0)
        drawn.axvspan(-limit, limit, color="#8884", label="placebo")
        drawn.set_xlabel("gap, log odds")
        drawn.legend()
        return drawn

    def save(self, path: str | Path) -> None:
        """Write as JSON; a figure that is not known is NaN."""
        plain = to_jsonable_python(self, inf_nan_mode="constants")
        Path(path).write_text(json.dumps(plain, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> AuditResult:
        """Read what `save` wrote; DataError when it is missing or altered."""
        try:
            return _AUDIT.validate_python(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read an audit from {str(path)!r}: {error}; audit again") from (
                error
            )

    def __repr__(self) -> str:
        invented = " (invented)" if self.before.fictional else ""
        told = "; ".join(f"{f.compared}: {f.verdict.words}" for f in self.before.findings)
        return f"Hiring audit of {len(self.before.groups)} groups{invented}: {told}"

    def _repr_html_(self) -> str:
        rows = [
            Range(f"{f.compared}, {when}", f.gap.value, f.gap.low, f.gap.high, when)
            for when, found in self._sides().items()
            for f in found.findings
        ]
        limit = max((f.placebo.limit for f in self.before.findings), default=0.0)
        low = min([*(r.low for r in rows), -limit])
        high = max([*(r.high for r in rows), limit])
        figure = ranges(rows, (low, high), "Gap in log odds", repr(self), (-limit, limit))
        told = said(effect.words for effect in self.effects)
        return piece(repr(self), self.table(), figure, told)


_AUDIT: TypeAdapter[AuditResult] = TypeAdapter(AuditResult)


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Results of batteries, each with its measures and findings; iterates over them."""

    results: tuple[BatteryResult, ...]

    def __iter__(self) -> Iterator[BatteryResult]:
        return iter(self.results)

    def __getitem__(self, battery: str) -> BatteryResult:
        """The result of a battery by its name."""
        found = {result.battery: result for result in self.results}
        if battery not in found:
            raise ConfigError(f"battery {battery!r} was not asked; there are {', '.join(found)}")
        return found[battery]

    def table(self) -> Table:
        """One row per measure, with interval and the value of a null chooser (floor)."""
        rows = (
            (r.battery, m.name, m.value, m.low, m.high, m.floor, m.n, m.unit, m.better)
            for r in self.results
            for m in r.measures
        )
        names = ["battery", "measure", "value", "low", "high", "floor", "n", "unit", "better"]
        return Table.of(names, rows, repr(self))

    @property
    def findings(self) -> Sequence[str]:
        """The sentences that the results allow."""
        return [finding.sentence for result in self.results for finding in result.findings]

    def to_pandas(self) -> pd.DataFrame:
        """One row per measure."""
        return self.table().to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Measures that have an interval; the axes."""
        rows = [
            (f"{r.battery}: {m.name}", (m.value, m.low, m.high))
            for r in self.results
            for m in r.measures
            if m.value is not None and m.low is not None and m.high is not None
        ]
        drawn = open_axes(axes, len(rows))
        draw_ranges(drawn, [name for name, _ in rows], [row for _, row in rows], BEFORE, "measure")
        return drawn

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_results(self.results, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> EvaluationResult:
        """Read what `save` or `plenary evaluate` wrote."""
        return cls(tuple(read_results(Path(path))))

    def __repr__(self) -> str:
        models = sorted({result.model for result in self.results})
        asked = sum(result.asked for result in self.results)
        return f"{len(self.results)} batteries, {asked:,} answers of {', '.join(models)}"

    def _repr_html_(self) -> str:
        return piece(repr(self), self.table(), said(self.findings))
