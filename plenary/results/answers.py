"""Answers of one subject to forced choices, and the utilities fitted to them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from assembly.aggregation.population_utilities import population_utilities
from assembly.hold import DecidedAssembly
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.importers import ImportSettings, import_votes
from evaluation.utility.fitting import fit_table
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.errors import ConfigError, DataError
from plenary.figures.svg import Range, ranges
from plenary.outcomes import Catalogue, Outcome
from plenary.preferences import FloatArray, IntArray, pair_shares
from plenary.results.display import BEFORE, draw_ranges, open_axes, piece
from plenary.safe_text import strip_hidden
from plenary.table import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DRAWN = 10
Z = 1.959964
_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


@dataclass(frozen=True, slots=True)
class AnswersResult:
    """What a model, or people, answered: `answers` as plenary stores them, one row per question."""

    answers: AnswerTable

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes [K] asked about."""
        return self.answers.origin.outcomes

    def table(self) -> Table:
        """One row per pair: share for the first outcome over both orders, valid answers."""
        pairs, accepted = self.answers.pairs, self.answers.accepted
        found = pair_shares(accepted, pairs)
        rows = (
            (self.outcomes[a].text, self.outcomes[b].text, float(p), float(gap), float(n))
            for (a, b), p, gap, n in zip(pairs.tolist(), *found, strict=True)
        )
        names = ["first", "second", "share", "order_gap", "answers"]
        return Table.of(names, rows, repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """One row per pair."""
        return self.table().to_pandas()

    def save(self, path: str | Path) -> None:
        """Write as Parquet, in the format of `plenary elicit`."""
        self.answers.write(Path(path))

    @classmethod
    def load(cls, path: str | Path) -> AnswersResult:
        """Read what `save` or `plenary elicit` wrote."""
        return cls(AnswerTable.read(Path(path)))

    def __repr__(self) -> str:
        cells, kept = self.answers.cells, self.answers.accepted
        asked = float(cells.trials.sum() + cells.undecided.sum() + cells.invalid.sum())
        lost = 1 - float(kept.trials.sum() + kept.undecided.sum()) / asked if asked else 0.0
        source = self.answers.origin.source
        return (
            f"{asked:,.0f} answers of {source} on {len(self.answers.pairs)} pairs of "
            f"{len(self.outcomes)} outcomes, {lost:.1%} not valid"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def votes_of(source: object, outcomes: Catalogue | None, settings: ImportSettings) -> AnswersResult:
    """A file of votes, a DataFrame or a list of dicts, read through the importer of its format."""
    if isinstance(source, AnswersResult):
        return source
    if isinstance(source, AnswerTable):
        return AnswersResult(source)
    if isinstance(source, str | Path):
        return AnswersResult(import_votes(Path(source).expanduser(), outcomes, settings))
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        source = cast("pd.DataFrame", source).to_dict("records")
    if not isinstance(source, Iterable):
        raise ConfigError(
            f"{type(source).__name__} {str(source)[:60]!r} holds no votes; give a file, a "
            "DataFrame, or a list of dicts with first, second and choice"
        )
    rows = [row for row in source if isinstance(row, Mapping)]
    if not rows:
        raise DataError("no votes given; give dicts with first, second and choice")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.parquet"
        try:
            pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"the votes mix kinds of values in a column: {error}") from error
        return AnswersResult(import_votes(path, outcomes, settings))


@dataclass(frozen=True, slots=True)
class UtilityResult:
    """Utilities of outcomes [K], with standard errors.

    mu: higher is preferred; the middle half of the outcomes has mean 0 and spread 1 (see
    UtilityFit). fit: everything the fit knows, order bias and lapses included.
    """

    fit: UtilityFit
    outcomes: tuple[Outcome, ...]
    source: str

    @property
    def mu(self) -> FloatArray:
        """Utilities [K], in the order of `outcomes`."""
        return self.fit.mu

    @property
    def sd(self) -> FloatArray:
        """Their standard errors [K]."""
        return self.fit.sd

    def _order(self) -> IntArray:
        return np.argsort(-self.mu, kind="stable")

    def table(self) -> Table:
        """Outcomes by falling utility: rank, id, utility, standard error, text."""
        rows = (
            (rank, self.outcomes[k].id, float(self.mu[k]), float(self.sd[k]), self.outcomes[k].text)
            for rank, k in enumerate(self._order().tolist(), 1)
        )
        return Table.of(["rank", "id", "utility", "standard_error", "text"], rows, repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """Outcomes by falling utility."""
        return self.table().to_pandas()

    def _ends(self) -> list[int]:
        """The outcomes drawn: all, or the best and the worst."""
        order = self._order().tolist()
        return order if len(order) <= 2 * DRAWN else order[:DRAWN] + order[-DRAWN:]

    def _interval(self, k: int) -> tuple[float, float, float]:
        """Utility of an outcome, and its 95 % interval."""
        mu, half = float(self.mu[k]), Z * float(self.sd[k])
        return mu, mu - half, mu + half

    def plot(self, axes: Axes | None = None) -> Axes:
        """The best and the worst outcomes with 95 % intervals; the axes."""
        at = self._ends()
        drawn = open_axes(axes, len(at))
        rows = [self._interval(k) for k in at]
        labels = [strip_hidden(self.outcomes[k].text, 60) for k in at]
        draw_ranges(drawn, labels, rows, BEFORE, self.source)
        drawn.set_xlabel("utility")
        return drawn

    def save(self, stem: str | Path) -> None:
        """Write STEM.parquet and STEM.json, and STEM.outcomes.json."""
        self.fit.save(Path(stem))
        _outcomes_file(stem).write_bytes(_OUTCOMES.dump_json(self.outcomes, indent=1))

    @classmethod
    def load(cls, stem: str | Path) -> UtilityResult:
        """Read what `save` wrote; DataError when a file is missing or altered."""
        fit = UtilityFit.load(Path(stem))
        try:
            outcomes = _OUTCOMES.validate_json(_outcomes_file(stem).read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(
                f"cannot read the outcomes of {str(stem)!r}: {error}; fit again"
            ) from error
        return cls(fit, outcomes, Path(stem).name)

    def __repr__(self) -> str:
        state = "" if self.fit.converged else ", NOT converged"
        return f"Utilities of {len(self.mu)} outcomes, {self.source}{state}"

    def _repr_html_(self) -> str:
        rows = [
            Range(strip_hidden(self.outcomes[k].text, 28), *self._interval(k), "before")
            for k in self._ends()
        ]
        limits = (min(row.low for row in rows), max(row.high for row in rows))
        figure = ranges(rows, limits, "Utilities", repr(self))
        return piece(repr(self), self.table(), figure)


def _outcomes_file(stem: str | Path) -> Path:
    return Path(f"{stem}.outcomes.json")


def fitted_utilities(
    answers: object, settings: FitSettings, side: Literal["train", "held_out"] | None
) -> UtilityResult:
    """Utilities of answers or votes, or those of an assembly's population on one side."""
    if isinstance(answers, DecidedAssembly):
        return _of_assembly(answers, settings, side)
    table = answers.answers if isinstance(answers, AnswersResult) else answers
    if not isinstance(table, AnswerTable):
        raise ConfigError(
            f"{type(answers).__name__} {str(answers)[:60]!r} holds no answers; give what "
            "pl.elicit, pl.load_votes or pl.hold_assembly returned"
        )
    return UtilityResult(fit_table(table, settings), table.origin.outcomes, table.origin.source)


def _of_assembly(
    held: DecidedAssembly, settings: FitSettings, side: Literal["train", "held_out"] | None
) -> UtilityResult:
    mask = held.agenda.held_out
    if side is None and mask.any() and not mask.all():
        raise ConfigError(
            "the assembly's outcomes are split, and no pair joins the two sides; give "
            "side='train' or side='held_out'"
        )
    at = np.ones(len(mask), dtype=bool) if side is None else mask == (side == "held_out")
    if not at.any():
        raise ConfigError(f"no pair of the assembly is on side {side!r}; use the other one")
    electorate, outcomes = held.electorate(at)
    fit = population_utilities(electorate, settings, held.seating.group_of())
    return UtilityResult(
        fit, tuple(held.outcomes[k] for k in outcomes), f"assembly, {side or 'all'}"
    )
