"""Two models against a target, on rows that say what is asked and what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from pydantic import Field

from assembly.dataset.rows import facts_of
from evaluation.comparison.compare import Comparison
from evaluation.elicitation.answer_table import AnswerTable
from plenary.errors import ConfigError, DataError
from plenary.figures.svg import Range, ranges
from plenary.models.base import ChatBackend, Choice, Message, check_replies
from plenary.models.usable import Seen, require_usable
from plenary.preferences import ComparisonCounts, Targets, pair_shares
from plenary.results.display import AFTER, BEFORE, draw_ranges, open_axes, piece, said
from plenary.table import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class ComparisonResult(Comparison):
    """How far a model moved toward a target: agreement before and after, gain, ceiling.

    `gain` with `gain_low` and `gain_high`; `before` and `after` with every measure; `ceiling`.
    """

    model_before: str = Field(default="", description="name of the model before")
    model_after: str = Field(default="", description="name of the model after")

    def table(self) -> Table:
        """One row per measure, before and after; shares and probabilities lie in 0..1."""
        before, after = self.before.model_dump(), self.after.model_dump()
        rows = ((name, before[name], after[name]) for name in before)
        return Table.of(["measure", "before", "after"], rows, str(self))

    def to_pandas(self) -> pd.DataFrame:
        """One row per measure."""
        return self.table().to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """Agreement before and after with intervals, and the ceiling; the axes."""
        drawn = open_axes(axes, 2)
        for name, side, colour, lift in (
            ("before", self.before, BEFORE, 0.0), ("after", self.after, AFTER, -1.0)
        ):  # fmt: skip
            rows = [(side.agreement, side.low, side.high)]
            draw_ranges(drawn, [name], rows, colour, name, lift)
        drawn.set_yticks([0, -1], ["before", "after"])
        if self.ceiling is not None:
            drawn.axvline(self.ceiling, linestyle="--", color="#999999", label="ceiling")
        drawn.set_xlim(0, 1)
        drawn.set_xlabel("agreement with the target on held-out pairs")
        drawn.legend()
        return drawn

    def __str__(self) -> str:
        """The result in three lines."""
        top = "not known" if self.ceiling is None else f"{self.ceiling:.1%}"
        return (
            f"agreement {self.before.agreement:.1%} -> {self.after.agreement:.1%} on {self.pairs} "
            f"pairs of {self.outcomes} outcomes\n"
            f"gain {100 * self.gain:+.1f} points, {self.settings.level:.0%} interval "
            f"{100 * self.gain_low:+.1f} to {100 * self.gain_high:+.1f}\n"
            f"ceiling {top}: how often two such panels would agree"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            Range("before", self.before.agreement, self.before.low, self.before.high, "before"),
            Range("after", self.after.agreement, self.after.low, self.after.high, "after"),
        ]
        if self.ceiling is not None:
            rows.append(Range("ceiling", self.ceiling, self.ceiling, self.ceiling, "ceiling"))
        figure = ranges(rows, (0.0, 1.0), "Agreement with the target", str(self))
        return piece("Before against after", said(str(self).splitlines()), figure,
                     self.table())  # fmt: skip


class Asked(NamedTuple):
    """One forced choice of a target: messages, labels, the pair's two ends, shown swapped or not.

    both: the choice stands alone, and is read as if it had been asked in both orders.
    """

    prompt: tuple[Message, ...]
    labels: tuple[str, ...]
    ends: tuple[int, int]
    swapped: bool
    both: bool


class TargetQuestions(NamedTuple):
    """What models are asked, and the target [P] they are held against."""

    asked: tuple[Asked, ...]
    targets: Targets


def questions_of(rows: Iterable[Mapping[str, object]]) -> TargetQuestions:
    """Rows of prompt, labels, target_p and weight; those of one `pair` belong together.

    A pair "first|second" names its two outcomes, which intervals are drawn over; a row without a
    pair stands alone.
    """
    nodes: dict[str, int] = {}
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = {}
    asked: list[Asked] = []
    for number, row in enumerate(rows):
        try:
            turns = cast("Sequence[Mapping[str, str]]", row["prompt"])
            prompt = tuple(Message(t["role"], t["content"]) for t in turns)  # type: ignore[arg-type]
            labels = tuple(map(str, cast("Sequence[str]", row["labels"])))
            p, weight = float(cast("float", row["target_p"])), float(cast("float", row["weight"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"row {number} of the target: {error!r}; give prompt (messages), labels, target_p "
                "and weight"
            ) from error
        name, swapped = row.get("pair"), bool(row.get("swapped"))
        named = str(name).split("|") if name else [f"row {number} a", f"row {number} b"]
        known = named if len(named) == 2 else [f"{name} a", f"{name} b"]
        ends = (nodes.setdefault(known[0], len(nodes)), nodes.setdefault(known[1], len(nodes)))
        pairs.setdefault(ends, []).append((1 - p if swapped else p, weight))
        asked.append(Asked(prompt, labels, ends, swapped, not name))
    if not asked:
        raise DataError("the target has no rows; hold out some outcomes, and pairs of them")
    p, weight = np.array([np.mean(values, axis=0) for values in pairs.values()]).T
    return TargetQuestions(tuple(asked), Targets(np.array(list(pairs), dtype=np.int64), p, weight))


async def answers_to(
    backend: ChatBackend,
    questions: TargetQuestions,
    samples: int,
    min_mass: float,
    max_unusable: float,
    seed: int,
) -> ComparisonCounts:
    """Ask a model every question; answers whose labels hold too little probability do not count."""
    choices: dict[int, Choice] = {}
    for labels in dict.fromkeys(one.labels for one in questions.asked):
        at = [k for k, one in enumerate(questions.asked) if one.labels == labels]
        prompts = [questions.asked[k].prompt for k in at]
        found = await backend.choose(prompts, labels, samples=samples, seed=seed)
        check_replies(backend.name, len(prompts), len(found))
        choices |= dict(zip(at, found, strict=True))
    cells = [cell for k, one in enumerate(questions.asked) for cell in _cells(one, choices[k])]
    columns = [np.array(column) for column in zip(*cells, strict=True)]
    counts = ComparisonCounts(columns[0], columns[1], *(c.astype(float) for c in columns[2:]))
    low = counts.mass < min_mass
    answered = np.maximum(counts.trials + counts.undecided, 1e-12)
    shares = np.stack([counts.wins, counts.trials - counts.wins], axis=1) / answered[:, None]
    reason = next((c.failure for c in choices.values() if c.failure), "unreadable")
    require_usable(
        Seen(~low & counts.answered, counts.mass, shares, reason),
        backend.name, "questions of the target", min_mass, max_unusable, "max_unusable",
    )  # fmt: skip
    return counts.emptied(low)


def _cells(one: Asked, choice: Choice) -> list[tuple[float, ...]]:
    """first, second, wins, trials, invalid, mass, undecided; in both orders if it stands alone."""
    first, _, *third = [s * choice.valid for s in choice.shares] or [0.0, 0.0]
    undecided = sum(third)
    # By subtraction: shares may miss 1 by a rounding, and wins must not exceed trials.
    trials = (choice.valid if choice.shares else 0) - undecided
    mass = np.nan if choice.mass is None else choice.mass
    shown = one.ends[::-1] if one.swapped else one.ends
    rest = (trials, choice.invalid, mass, undecided)
    cell = (*shown, first, *rest)
    return [cell, (*shown[::-1], trials - first, *rest)] if one.both else [cell]


def targets_of_answers(answers: AnswerTable) -> Targets:
    """Votes as a target: the share of each pair, weighing its valid answers."""
    pairs = answers.pairs
    found = pair_shares(answers.accepted, pairs)
    voted = ~np.isnan(found.p)
    if not voted.any():
        raise ConfigError(
            "no pair of the votes has answers in both orders; give order='unknown' to load_votes "
            "where the order shown is not known"
        )
    return Targets(pairs[voted], found.p[voted], found.trials[voted])


def ceiling_of(target: object) -> float | None:
    """The ceiling that an assembly kept with its rows; None for rows of other origin."""
    known = facts_of(target).get("ceiling")
    return known if isinstance(known, float) else None
