"""An assembly as a result that shows itself."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from assembly.hold import DecidedAssembly
from plenary.figures.charts import PlottedChange, PlottedInterval, changes
from plenary.results.display import AFTER, BEFORE, draw_ranges, open_axes, piece, said
from plenary.safe_text import strip_hidden

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DRAWN = 12


class AssemblyResult(DecidedAssembly):
    """What an assembly decided: labels, ballots, transcript, movement, dissent, rows to train on.

    `labels`, `ballots`: tables. `by("age")`: which groups moved. `transcript(pair, table)`,
    `minority_report(pair)`: what was said, and who opposes. `to_dataset()`: rows for training and
    for judging. `ceiling`: how often two such panels would agree. `save(folder)`, `load(folder)`.
    """

    @classmethod
    def of(cls, held: DecidedAssembly) -> AssemblyResult:
        """The same assembly, showing itself."""
        return cls(**{f.name: getattr(held, f.name) for f in fields(held)})

    def to_pandas(self) -> pd.DataFrame:
        """One row per pair: `labels` as a DataFrame."""
        return self.labels.to_pandas()

    def _moved_most(self) -> list[int]:
        """Pairs whose share moved furthest, as many as are drawn."""
        change = np.abs(np.nan_to_num(self.after.p - self.before.p))
        return np.argsort(-change, kind="stable")[:DRAWN].tolist()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Shares before and after on the pairs that moved most, with intervals; the axes."""
        at = self._moved_most()
        drawn = open_axes(axes, 2 * len(at))
        labels = [_short(self.pair_text(k)) for k in at]
        for name, side, colour, lift in (
            ("before", self.before, BEFORE, 0.15), ("after", self.after, AFTER, -0.15)
        ):  # fmt: skip
            rows = [(float(side.p[k]), float(side.low[k]), float(side.high[k])) for k in at]
            draw_ranges(drawn, labels, rows, colour, name, lift)
        drawn.axvline(0.5, linestyle="--", color="#999999")
        drawn.set_xlim(0, 1)
        drawn.set_xlabel("share for the first outcome")
        drawn.legend()
        return drawn

    def __repr__(self) -> str:
        pairs, held = len(self.agenda.pairs), int(self.agenda.held_out.sum())
        return (
            f"Assembly of {len(self.seats)} citizens on {pairs} pairs ({held} held out), "
            f"{self.settings.rounds} {'round' if self.settings.rounds == 1 else 'rounds'}, "
            f"{len(self.statements)} statements, {int(self.after.contested.sum())} pairs contested"
        )

    def _repr_html_(self) -> str:
        rows = [
            PlottedChange(
                f"pair {k}",
                *(
                    None
                    if np.isnan(side.p[k])
                    else PlottedInterval(float(side.p[k]), float(side.low[k]), float(side.high[k]))
                    for side in (self.before, self.after)
                ),
            )
            for k in self._moved_most()
        ]
        title = "Shares before and after the discussion, pairs that moved most"
        figure = changes(rows, title, repr(self))
        named = said(f"pair {k}: {_short(self.pair_text(k), 150)}" for k in self._moved_most())
        return piece(repr(self), self.labels, f"<p>{title}</p>", figure, named)


def _short(text: str, limit: int = 60) -> str:
    return strip_hidden(text, limit)
