"""Eliciting preferences: asks a model each pair in both orders, and gates on answer mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.elicitation.asking import Answers, Subject, ask
from evaluation.elicitation.order_effect import OrderPilot, order_effect
from plenary.errors import BackendError, ConfigError, DataError
from plenary.models.base import ChatBackend
from plenary.models.usable import FIRST, Seen, require_usable
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray
from plenary.prompt_templates import prompt_template
from plenary.seeding import generator

LEAST_PILOT = 20


class ElicitationSettings(BaseModel):
    """How preferences are read from a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: tuple[str, ...] = Field(
        default=("plain",),
        min_length=1,
        description="ids of the prompt templates; every pair is asked in each; "
        "plain+none offers the third answer no preference",
    )
    orders: Literal["both", "balanced"] = Field(
        default="both",
        description="both presentation orders, or one random order per query after a pilot in both",
    )
    pilot_share: float = Field(
        default=0.1, gt=0, le=1, description="share of the pairs that the pilot asks in both orders"
    )
    pilot_samples: int = Field(
        default=10,
        ge=2,
        description="least answers per prompt in the pilot; single ones cannot show the spread",
    )
    max_order_spread: float = Field(
        default=0.6,
        gt=0,
        description="largest spread of the order effect over pairs, probits, that balanced accepts",
    )
    samples: int = Field(
        default=10, ge=1, description="answers per prompt if the backend can only sample"
    )
    min_mass: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="answers whose labels have less total probability do not count, in the "
        "elicitation and in ballots",
    )
    max_unusable: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of a template's cells without a valid answer above which it is excluded",
    )
    reason_tokens: int = Field(
        default=96, ge=8, description="longest reasoning, tokens, in templates that ask for it"
    )

    @property
    def template(self) -> str:
        """The first template."""
        return self.templates[0]


class ExcludedCell(NamedTuple):
    """A question whose answer did not count, and the total probability of its labels."""

    template: str
    first: int
    second: int
    mass: float


@dataclass(frozen=True, slots=True)
class Elicitation:
    """The answers: by template, two cells per pair (pair 0 as given, swapped, pair 1, ...).

    With orders "balanced" the pilot's pairs come first, then one cell for each of the others.

    cells [N]: answers as the model gave them. excluded [N]: answer mass below the threshold, or the
    template was hardly answered. asked, invalid: answers asked for, and those refused, failed or
    unreadable, over all cells; cut: invalid answers that were cut short before a choice. mass [N]:
    answer mass compared with the threshold, NaN for counts. template [N]: position in `templates`.
    pilots: one per template if orders were balanced.
    """

    cells: ComparisonCounts
    excluded: BoolArray
    asked: int
    invalid: int
    mass: FloatArray
    template: IntArray
    templates: tuple[str, ...]
    pilots: tuple[OrderPilot, ...]
    cut: int = 0

    @property
    def accepted(self) -> ComparisonCounts:
        """The cells [N] with excluded ones emptied (no valid answers, the mass still recorded)."""
        return self.cells.emptied(self.excluded)

    @property
    def invalid_share(self) -> float:
        """Share of the answers asked for that were invalid; lower is better."""
        return self.invalid / self.asked if self.asked else 0.0

    @property
    def cut_share(self) -> float:
        """Share of the answers asked for that were cut short; lower is better."""
        return self.cut / self.asked if self.asked else 0.0

    @property
    def excluded_cells(self) -> tuple[ExcludedCell, ...]:
        """The questions that did not count, in the order asked."""
        return tuple(
            ExcludedCell(
                self.templates[int(self.template[k])],
                int(self.cells.first[k]),
                int(self.cells.second[k]),
                float(self.mass[k]),
            )
            for k in np.flatnonzero(self.excluded)
        )

    @property
    def excluded_templates(self) -> tuple[str, ...]:
        """Templates without any cell left."""
        return tuple(
            name for k, name in enumerate(self.templates) if self.excluded[self.template == k].all()
        )

    @classmethod
    def join(cls, parts: Sequence[Elicitation]) -> Elicitation:
        """Join the answers of several elicitations in the same templates, in order."""
        first = parts[0]
        if any(part.templates != first.templates for part in parts):
            raise DataError(
                f"templates {[part.templates for part in parts]!r} differ; "
                "join answers in the same templates"
            )
        return cls(
            ComparisonCounts.join([part.cells for part in parts]),
            np.concatenate([part.excluded for part in parts]),
            sum(part.asked for part in parts),
            sum(part.invalid for part in parts),
            np.concatenate([part.mass for part in parts]),
            np.concatenate([part.template for part in parts]),
            first.templates,
            first.pilots,
            sum(part.cut for part in parts),
        )

    def of_template(self, name: str) -> ComparisonCounts:
        """The accepted cells of one template."""
        return self.accepted.select(self.template == self.templates.index(name))


def both_orders(pairs: IntArray) -> IntArray:
    """Presentations [2P, 2] (shown first, shown second): every pair as given, then swapped."""
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return np.stack([pairs, pairs[:, ::-1]], axis=1).reshape(-1, 2)


def one_order(pairs: IntArray, rng: np.random.Generator) -> IntArray:
    """Presentations [P, 2]: a random half of the pairs as given, the others swapped."""
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    swapped = rng.permutation(len(pairs)) % 2 == 1
    return np.where(swapped[:, None], pairs[:, ::-1], pairs)


def pilot_pairs(pairs: int, settings: ElicitationSettings) -> int:
    """How many of `pairs` are asked in both orders."""
    if settings.orders == "both":
        return pairs
    return min(pairs, max(LEAST_PILOT, int(np.ceil(settings.pilot_share * pairs))))


def _check_usable(
    answers: Answers, excluded: BoolArray, who: str, template: str, settings: ElicitationSettings
) -> None:
    cells = answers.cells
    answered = cells.trials + cells.undecided
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.stack([cells.wins, cells.trials - cells.wins], axis=1) / answered[:, None]
    require_usable(
        Seen(~excluded & cells.answered, answers.mass, shares, answers.failure),
        who,
        f"questions in template {template!r}",
        settings.min_mass,
        settings.max_unusable,
        "elicitation.max_unusable",
    )


class _Template(NamedTuple):
    """The answers in one template, its excluded cells, its pilot, and its fault if any."""

    answers: Answers
    excluded: BoolArray
    pilot: OrderPilot | None
    error: BackendError | None


def _require_small_spread(pilot: OrderPilot, settings: ElicitationSettings, name: str) -> None:
    if pilot.pairs < 3:
        raise BackendError(
            f"the pilot in template {name!r} has {pilot.pairs} pairs answered in both orders; "
            "ask more pairs or use elicitation.orders=both"
        )
    if pilot.spread > settings.max_order_spread:
        raise ConfigError(
            f"the order effect in template {name!r} differs between pairs by {pilot.spread:.2f} "
            f"probits ({pilot.low:.2f} to {pilot.high:.2f}), more than max_order_spread "
            f"{settings.max_order_spread!r}; use elicitation.orders=both"
        )


class _Block(NamedTuple):
    """Presentations [N, 2] and how often each is asked if the backend samples."""

    shown: IntArray
    samples: int


class _Begun(NamedTuple):
    """A template whose first block was asked: answers, remaining questions, pilot, fault."""

    name: str
    answers: Answers
    rest: _Block
    pilot: OrderPilot | None
    error: BackendError | None


async def _begin(
    subject: Subject,
    pairs: IntArray,
    settings: ElicitationSettings,
    name: str,
    pilot: OrderPilot | None,
) -> _Begun:
    """Ask the first 40 questions of one template, or the pilot if orders are balanced."""
    rng = generator(subject.seed, "elicit", "orders", name)
    piloting = settings.orders == "balanced" and pilot is None
    if piloting:
        pairs = pairs[rng.permutation(len(pairs))]
        size = pilot_pairs(len(pairs), settings)
        first = _Block(both_orders(pairs[:size]), max(settings.samples, settings.pilot_samples))
        rest = _Block(one_order(pairs[size:], rng), settings.samples)
    else:
        shown = both_orders(pairs) if settings.orders == "both" else one_order(pairs, rng)
        first = _Block(shown[:FIRST], settings.samples)
        rest = _Block(shown[FIRST:], settings.samples)
    answers = await ask(subject, prompt_template(name), *first, settings.reason_tokens)
    error = _fault(answers, subject, name, settings)
    if piloting and error is None:
        pilot = order_effect(answers.cells, first.shown[::2], subject.seed)
        _require_small_spread(pilot, settings, name)
    return _Begun(name, answers, rest, pilot, error)


def _fault(
    answers: Answers, subject: Subject, name: str, settings: ElicitationSettings
) -> BackendError | None:
    excluded = answers.mass < settings.min_mass
    try:
        _check_usable(answers, excluded, subject.backend.name, name, settings)
    except BackendError as error:
        return error
    return None


async def _finish(subject: Subject, begun: _Begun, settings: ElicitationSettings) -> _Template:
    """Ask the remaining questions of one template, and judge it as a whole."""
    answers = begun.answers
    if len(begun.rest.shown):
        rest = await ask(subject, prompt_template(begun.name), *begun.rest, settings.reason_tokens)
        answers = Answers.join([answers, rest])
    error = _fault(answers, subject, begun.name, settings)
    excluded = answers.mass < settings.min_mass
    if error is not None:
        excluded = np.ones(len(excluded), dtype=bool)
    return _Template(answers, excluded, begun.pilot, error)


def _require_some(errors: Sequence[BackendError | None]) -> None:
    """Raise the first fault if every template has one."""
    known = [error for error in errors if error is not None]
    if known and len(known) == len(errors):
        raise known[0]


async def elicit(
    backend: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    settings: ElicitationSettings,
    *,
    system: str | None = None,
    seed: int = 0,
    pilots: tuple[OrderPilot, ...] = (),
    early: float | None = None,
) -> Elicitation:
    """Ask every pair [P, 2] of `texts` [K] in every template, as the persona `system` if given.

    pilots: those of an earlier elicitation of the same model, templates and orders "balanced";
    without them a pilot is made. A template is excluded as a whole if more than `max_unusable` of
    it has no valid answer; UnusableAnswers if that leaves none, already after the first 40
    questions of each if it shows there. early: limit for those first questions, by default
    `max_unusable`. ConfigError if orders are to be balanced but a pilot finds that the order effect
    differs too much between pairs.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if len(pairs) and not 0 <= pairs.min() <= pairs.max() < len(texts):
        raise DataError(
            f"pair names outcome {int(pairs.max())!r} of {len(texts)}; "
            "pass the pairs' own catalogue"
        )
    known = dict(zip(settings.templates, pilots, strict=False))
    subject = Subject(backend, texts, system, seed)
    strict = settings if early is None else settings.model_copy(update={"max_unusable": early})
    begun = [
        await _begin(subject, pairs, strict, name, known.get(name)) for name in settings.templates
    ]
    if all(len(one.answers.cells) >= FIRST for one in begun):
        _require_some([one.error for one in begun])
    parts = [await _finish(subject, one, settings) for one in begun]
    _require_some([part.error for part in parts])
    answers = Answers.join([part.answers for part in parts])
    sizes = [len(part.excluded) for part in parts]
    return Elicitation(
        answers.cells,
        np.concatenate([part.excluded for part in parts]),
        answers.asked,
        answers.invalid,
        answers.mass,
        np.repeat(np.arange(len(parts)), sizes),
        settings.templates,
        tuple(part.pilot for part in parts if part.pilot is not None),
        answers.cut,
    )
