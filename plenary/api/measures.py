"""What models prefer, and how near they are to a decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import numpy as np

from assembly.hold import DecidedAssembly
from evaluation.comparison.compare import ComparisonSettings
from evaluation.comparison.compare import compare as _compare
from evaluation.elicitation.answer_table import AnswerTable, answer_table, settings_as_text
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import ElicitationSettings
from evaluation.elicitation.elicit import elicit as _elicit
from evaluation.elicitation.importers import ImportSettings
from evaluation.utility.thurstonian import FitSettings
from plenary.any_model import Model, load_model
from plenary.api.settings import chosen_settings
from plenary.errors import ConfigError
from plenary.outcomes import Catalogue
from plenary.preferences import ComparisonCounts, IntArray
from plenary.results.answers import AnswersResult, UtilityResult, fitted_utilities, votes_of
from plenary.results.comparison import (
    ComparisonResult,
    answers_to,
    ceiling_of,
    questions_of,
    targets_of_answers,
)
from plenary.results.outcomes import outcome_set
from plenary.results.progress import bar
from plenary.results.waiting import waited
from plenary.seeding import generator


async def aelicit(
    model: object,
    outcomes: object,
    *,
    pairs: int | IntArray | None = None,
    templates: Sequence[str] = ("plain",),
    persona: str | None = None,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> AnswersResult:
    """As `elicit`, inside an event loop."""
    chosen, asked = outcome_set(outcomes), load_model(model)
    how = chosen_settings(
        ElicitationSettings, {"templates": tuple(templates), **settings}, "elicit"
    )
    planned = _pairs(len(chosen), pairs, seed)
    with bar("elicit", None, " questions", quiet=quiet):
        found = await _elicit(asked.backend, chosen.texts, planned, how, system=persona, seed=seed)
    told = settings_as_text(how)
    return AnswersResult(answer_table(found, chosen.catalogue.outcomes, asked.name, told, seed))


def elicit(
    model: object,
    outcomes: object,
    *,
    pairs: int | IntArray | None = None,
    templates: Sequence[str] = ("plain",),
    persona: str | None = None,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> AnswersResult:
    """Ask a model which of two outcomes it prefers, each pair in both presentation orders.

    pairs: how many (default 2 K log2 K, K outcomes), or pairs of positions [P, 2]. persona: a
    system text under which the model answers. settings: any other of ElicitationSettings, such as
    samples (answers per question where a model only samples) or min_mass.

    >>> import plenary as pl
    >>> outcomes = pl.load_outcomes(["a park is built", "a road is built", "taxes are cut"])
    >>> len(pl.elicit("embedded", outcomes).table())
    3
    """
    return waited(
        aelicit(
            model, outcomes, pairs=pairs, templates=templates, persona=persona, seed=seed,
            quiet=quiet, **settings,
        )
    )  # fmt: skip


def _pairs(outcomes: int, pairs: int | IntArray | None, seed: int) -> IntArray:
    possible = outcomes * (outcomes - 1) // 2
    if pairs is None:
        pairs = min(possible, round(2 * outcomes * np.log2(outcomes)))
    if isinstance(pairs, int):
        return balanced_pairs(outcomes, pairs, generator(seed, "measure", "pairs"))
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


def load_votes(
    source: object,
    outcomes: object = None,
    *,
    order: Literal["listed", "unknown"] = "listed",
    edges: Literal["all", "training", "holdout"] = "all",
) -> AnswersResult:
    """Votes of your own: a file, a DataFrame, or dicts with first, second and choice.

    Instead of choice: wins and trials, or probability. order: "unknown" where the first column was
    not always shown first. outcomes: what the votes' ids mean, as `load_outcomes` takes them;
    without it the votes name the outcomes themselves.

    >>> import plenary as pl
    >>> votes = [{"first": "tea", "second": "coffee", "choice": "tea"}] * 3
    >>> sum(pl.load_votes(votes, order="unknown").table()["share"])
    1.0
    """
    settings = chosen_settings(ImportSettings, {"order": order, "edges": edges}, "load_votes")
    catalogue: Catalogue | None = None if outcomes is None else outcome_set(outcomes).catalogue
    return votes_of(source, catalogue, settings)


def fit_utilities(
    answers: object, *, side: Literal["train", "held_out"] | None = None, **settings: object
) -> UtilityResult:
    """Utilities of outcomes from answers, votes, or an assembly.

    answers: what `elicit`, `load_votes` or `hold_assembly` gave. side: of an assembly whose
    outcomes are split. settings: any of FitSettings.

    >>> import plenary as pl
    >>> likes = [("tea", "coffee", 9), ("coffee", "milk", 8), ("tea", "milk", 9)]
    >>> votes = [{"first": a, "second": b, "wins": n, "trials": 10} for a, b, n in likes]
    >>> ", ".join(pl.fit_utilities(pl.load_votes(votes, order="unknown")).table()["text"])
    'tea, coffee, milk'
    """
    return fitted_utilities(answers, chosen_settings(FitSettings, settings, "fit_utilities"), side)


async def acompare(
    before: object,
    after: object,
    target: object,
    *,
    ceiling: float | None = None,
    samples: int = 10,
    min_mass: float = 0.5,
    max_unusable: float = 0.5,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> ComparisonResult:
    """As `compare`, inside an event loop."""
    how = chosen_settings(ComparisonSettings, settings, "compare")
    if isinstance(target, DecidedAssembly):
        split = target.to_dataset()
        target = split["held_out"] if len(split["held_out"]) else split["train"]
    ceiling = ceiling_of(target) if ceiling is None else ceiling
    if isinstance(target, AnswersResult | AnswerTable):
        table = target.answers if isinstance(target, AnswersResult) else target
        goal = targets_of_answers(table)
        ask = ElicitationSettings(samples=samples, min_mass=min_mass, max_unusable=max_unusable)

        async def cells(model: Model) -> ComparisonCounts:
            return (await _elicit(model.backend, table.texts, goal.pairs, ask, seed=seed)).accepted
    elif isinstance(target, Iterable):
        questions = questions_of(cast("Iterable[Mapping[str, object]]", target))
        goal = questions.targets

        async def cells(model: Model) -> ComparisonCounts:
            limits = (samples, min_mass, max_unusable)
            return await answers_to(model.backend, questions, *limits, seed)
    else:
        raise ConfigError(
            f"{type(target).__name__} {str(target)[:60]!r} is no target; give data['held_out'], "
            "an assembly, or votes"
        )
    old = load_model(before)
    new = load_model(after, tokenizer=old.tokenizer)
    with bar("compare", 2, " models", quiet=quiet) as made:
        first = await cells(old)
        made.update()
        second = await cells(new)
        made.update()
    found = _compare(first, second, goal, ceiling, how, seed)
    return ComparisonResult(**dict(found), model_before=old.name, model_after=new.name)


def compare(
    before: object,
    after: object,
    target: object,
    *,
    ceiling: float | None = None,
    samples: int = 10,
    min_mass: float = 0.5,
    max_unusable: float = 0.5,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> ComparisonResult:
    """Ask two models the same and say which is nearer to a target, with intervals.

    before, after: whatever `load_model` takes, `trainer.model` included. target: rows such as
    `data["held_out"]`, an assembly (its held-out pairs), or votes. ceiling: how often two panels
    would agree, known of rows that an assembly made. Shares lie in 0..1, gains are differences of
    shares; intervals resample outcomes. settings: any of ComparisonSettings.

    >>> import plenary as pl
    >>> votes = [{"first": "tea", "second": "ale", "wins": 9, "trials": 10}]
    >>> votes = pl.load_votes(votes, order="unknown")
    >>> pl.compare(lambda messages: "A", lambda messages: "A", votes, bootstrap=100).gain
    0.0
    """
    return waited(
        acompare(
            before, after, target, ceiling=ceiling, samples=samples, min_mass=min_mass,
            max_unusable=max_unusable, seed=seed, quiet=quiet, **settings,
        )
    )  # fmt: skip
