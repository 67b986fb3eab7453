"""Measuring without a run: elicit from any backend, fit and compare any table of answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError

from evaluation.active import ActiveSettings, asker, explore
from evaluation.answers import AnswerTable, answer_table, fit_table, settings_as_text
from evaluation.comparison import ComparisonSettings
from evaluation.cost import Cost, estimate_cost
from evaluation.design import all_pairs, balanced_pairs
from evaluation.elicitation import Elicitation, elicit
from evaluation.imported import ImportSettings, import_votes
from evaluation.null_run import orders_apart
from evaluation.selection import SELECTORS
from evaluation.shift import NullPair, UtilityShift, anchor_places, utility_shift
from evaluation.thurstonian import FitSettings, UtilityFit
from plenary.app.answer_parts import MERGED, gather
from plenary.app.config import PipelineConfig
from plenary.app.executor import HERE, Executor
from plenary.app.loose_outputs import asked_under, claim
from plenary.app.models import call_store
from plenary.app.plan import chosen_outcomes
from plenary.app.storage import disk_faults_named
from plenary.app.tasks import open_shared
from plenary.chat.base import ChatBackend
from plenary.chat.budget import Counts
from plenary.chat.cache import CachedBackend
from plenary.chat.usable import nothing_lost
from plenary.errors import ConfigError, DataError
from plenary.outcomes import Catalogue, load_outcomes
from plenary.preferences import IntArray
from plenary.seeding import generator
from plenary.table_files import TABLES, write_csv
from plenary.untrusted import ending, first_fault

FIXED = ("balanced", "all")
DESIGNS = (*FIXED, *SELECTORS)
VOTE_FILES = (*TABLES, ".json")
Record = dict[str, object]


class Request(NamedTuple):
    """What is to be elicited: settings, number of pairs, how they are chosen, where answers go.

    exists: what is done with answers of other settings that lie there, as `claim` has it.
    """

    config: PipelineConfig
    pairs: int | None
    design: str
    output: Path
    exists: str = "resume"


def is_votes(source: str | None) -> bool:
    """Whether a command-line argument names a file of answers rather than a config."""
    return source is not None and ending(Path(source)) in VOTE_FILES


def _catalogue(config: PipelineConfig) -> Catalogue:
    return chosen_outcomes(config.outcomes, config.seed, embedded_reads=config.model == "embedded")


def _pair_count(request: Request, outcomes: int) -> int:
    if request.pairs is not None and request.pairs < 1:
        raise ConfigError(f"--pairs is {request.pairs!r}; give 1 or more")
    possible = outcomes * (outcomes - 1) // 2
    if request.design == "all":
        return possible
    wanted = request.pairs or round(2 * outcomes * np.log2(outcomes))
    return min(wanted, possible) if request.pairs is None else wanted


def _pairs(request: Request, outcomes: int) -> IntArray:
    """The pairs of a design that is fixed beforehand."""
    if request.design == "all":
        return all_pairs(outcomes)
    rng = generator(request.config.seed, "measure", "pairs")
    return balanced_pairs(outcomes, _pair_count(request, outcomes), rng)


def dry_run_record(request: Request) -> Record:
    """What `measure` would ask: calls and tokens; no model is opened. Active designs: at most."""
    _check_design(request.design)
    catalogue, settings = _catalogue(request.config), request.config.elicitation
    count = _pair_count(request, len(catalogue))
    cost = estimate_cost(catalogue.texts, count, settings, request.config.seed)
    return _cost_record(request, catalogue, count, cost)


def _cost_record(request: Request, catalogue: Catalogue, pairs: int, cost: Cost) -> Record:
    return {
        "model": request.config.model,
        "outcomes": len(catalogue),
        "design": request.design,
        "pairs": pairs,
        "frames": list(request.config.elicitation.frames),
        "calls_exact": cost.calls_exact,
        "calls_sampled": cost.calls_sampled,
        "prompt_tokens_exact": cost.prompt_tokens_exact,
        "prompt_tokens_sampled": cost.prompt_tokens_sampled,
        "completion_tokens_sampled": cost.completion_tokens_sampled,
        "note": "exact: the backend gives probabilities; sampled: it gives answers; tokens are "
        "estimated at 4 characters each",
    }


def _check_design(design: str) -> None:
    if design not in DESIGNS:
        raise ConfigError(f"unknown design {design!r}; use one of {', '.join(DESIGNS)}")


def measure(request: Request, executor: Executor = HERE) -> Record:
    """Ask the model and write the table of answers; calls already made are not made again.

    An output that is no file of votes is a folder, which is filled part by part. ConfigError for
    one that was made under other settings.
    """
    _check_design(request.design)
    catalogue = _catalogue(request.config)
    count = _pair_count(request, len(catalogue))
    made = asked_under(request.config, "outcomes", "elicitation")
    made |= {"--design": request.design, "--pairs": count}
    file = is_votes(str(request.output))
    table = request.output if file else request.output / MERGED
    claim([table], made, "--answers", request.exists)
    if not file:
        return _measured_in_parts(request, executor)
    config = request.config
    model = open_shared(config.model, config, None, executor)
    with call_store(request.output.with_suffix(".calls.sqlite")) as store, nothing_lost():
        backend = CachedBackend(model, store)
        if request.design in FIXED:
            pairs = _pairs(request, len(catalogue))
            answers = asyncio.run(
                elicit(backend, catalogue.texts, pairs, config.elicitation, seed=config.seed)
            )
        else:
            answers = _explored(request, backend, catalogue)
    settings_text = settings_as_text(config.elicitation) | {"design": request.design}
    table = answer_table(answers, catalogue.outcomes, model.name, settings_text, config.seed)
    table.write(request.output)
    record = _answers_record(request, answers, table, model.counts)
    return record | ({"adapted": list(model.notes)} if model.notes else {})


def _measured_in_parts(request: Request, executor: Executor) -> Record:
    if request.design not in FIXED:
        raise ConfigError(
            f"design {request.design!r} chooses pairs by earlier answers; a folder of parts takes "
            f"{' or '.join(FIXED)}, or give --answers FILE.parquet"
        )
    config, catalogue = request.config, _catalogue(request.config)
    pairs = _pairs(request, len(catalogue))
    settings = settings_as_text(config.elicitation) | {"design": request.design}
    with disk_faults_named(str(request.output)):
        found = gather(request.output, pairs, catalogue.outcomes, config, settings, executor)
    totals = found.totals
    answered = totals.trials + totals.undecided
    return {
        "answers": str(found.table),
        "model": found.source,
        "pairs": len(pairs),
        "cells": int(totals.cells.sum()),
        "parts": found.parts,
        "parts_asked": found.asked_now,
        "calls_made": found.calls,
        "invalid_share": round(totals.invalid / (answered + totals.invalid), 4),
        "cut_short_share": round(found.cut_share, 4),
        "undecided_share": round(totals.undecided / answered, 4) if answered else 0.0,
        "mean_answer_mass": round(totals.mass / totals.massed, 4) if totals.massed else None,
        "excluded_frames": list(found.excluded_frames),
    }


def _explored(request: Request, backend: ChatBackend, catalogue: Catalogue) -> Elicitation:
    """Answers to pairs chosen round by round."""
    config, parts = request.config, list[Elicitation]()
    settings = ActiveSettings.model_validate(
        {"selection": request.design, "max_pairs": _pair_count(request, len(catalogue))}
    )
    ask = asker(
        backend, catalogue.texts, config.elicitation, seed=config.seed, on_answers=parts.append
    )
    asyncio.run(explore(ask, len(catalogue), settings, config.seed))
    return Elicitation.join(parts)


def _answers_record(
    request: Request, answers: Elicitation, table: AnswerTable, asked: Counts
) -> Record:
    listed = answers.excluded_cells
    return {
        "answers": str(request.output),
        "model": table.origin.source,
        "pairs": len(table.pairs),
        "cells": len(answers.cells),
        "asked": answers.asked,
        "calls_made": asked.calls,
        "invalid_share": round(answers.invalid_share, 4),
        "cut_short_share": round(answers.cut_share, 4),
        "undecided_share": round(table.cells.undecided_share, 4),
        "mean_answer_mass": _mean(answers.mass),
        "excluded_cells": len(listed),
        "excluded_frames": list(answers.excluded_frames),
        "order_pilots": [pilot._asdict() for pilot in answers.pilots],
    }


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 4) if len(known) else None


def read_votes(
    path: Path, outcomes: Path | None, edges: str = "all", order: str = "listed"
) -> AnswerTable:
    """A table of answers of ours, of the user, or a published preference graph."""
    try:
        settings = ImportSettings.model_validate({"edges": edges, "order": order})
    except ValidationError as error:
        raise ConfigError(f"the reading {first_fault(error)}; change the option") from error
    return import_votes(path, load_outcomes(outcomes) if outcomes else None, settings)


def votes_record(tables: Sequence[AnswerTable]) -> Record:
    """What is in files of votes: nothing is asked of a model to use them."""
    return {
        "calls": 0,
        "tokens": 0,
        "files": [table.origin.source for table in tables],
        "outcomes": [len(table.texts) for table in tables],
        "pairs": [len(table.pairs) for table in tables],
        "answers": [float(table.accepted.trials.sum()) for table in tables],
        "invalid": [float(table.cells.invalid.sum()) for table in tables],
        "notes": [note for table in tables for note in table.origin.notes],
    }


def fit_votes(
    table: AnswerTable, settings: FitSettings, stem: Path, exists: str = "resume"
) -> Record:
    """Fit a table of answers and write `stem`.parquet and .json, and the ranking as .csv.

    exists: what is done with a fit of other answers or settings there, as `claim` has it.
    """
    fitted = fit_table(table, settings)
    outputs = [stem.with_name(f"{stem.name}{end}") for end in (".csv", ".parquet", ".json")]
    claim(outputs, _made(settings, answers=table), "--name or --out", exists)
    fitted.save(stem)
    _write_ranking(fitted, table, stem.with_suffix(".csv"))
    order = np.argsort(-fitted.mu)
    return {
        "utilities": str(stem.with_suffix(".csv")),
        "source": table.origin.source,
        "outcomes": len(fitted.mu),
        "pairs": len(table.pairs),
        "answers": float(table.accepted.trials.sum()),
        "undecided_share": round(table.accepted.undecided_share, 4),
        "converged": fitted.converged,
        "order_bias": round(fitted.order_bias, 4),
        "lapse": round(fitted.lapse, 4),
        "link": fitted.settings.link,
        "tie": round(fitted.tie, 4),
        "log_likelihood": round(fitted.log_likelihood, 3),
        "components": int(fitted.component.max()) + 1,
        "separated": int(fitted.separated.sum()),
        "most_preferred": [table.texts[k] for k in order[:3]],
        "least_preferred": [table.texts[k] for k in order[-3:]],
        "notes": list(table.origin.notes),
    }


def _made(*settings: BaseModel, **tables: AnswerTable | None) -> dict[str, str]:
    """What a fit of tables is made under: the settings, and the tables by content."""
    under = {
        f"{type(group).__name__}.{name}": repr(value)
        for group in settings
        for name, value in group.model_dump(mode="json").items()
    }
    return under | {name: "none" if t is None else _digest(t) for name, t in tables.items()}


def _digest(table: AnswerTable) -> str:
    """Hash of a table's answers and outcomes, wherever it was read from."""
    digest = hashlib.blake2b("\x1f".join(table.texts).encode(), digest_size=8)
    for column in table.to_arrow().columns:
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()


def _write_ranking(fitted: UtilityFit, table: AnswerTable, path: Path) -> None:
    """Outcomes by falling utility, as CSV."""
    rows: list[Sequence[object]] = []
    for rank, k in enumerate(np.argsort(-fitted.mu).tolist(), 1):
        outcome = table.origin.outcomes[k]
        figures = (Decimal(f"{fitted.mu[k]:.6f}"), Decimal(f"{fitted.sd[k]:.6f}"))
        rows.append((rank, outcome.id, *figures, outcome.text))
    write_csv(path, ("rank", "id", "utility", "standard_error", "text"), rows)


class Sides(NamedTuple):
    """Answers before and after; before again (the null run); the target. All on one catalogue."""

    before: AnswerTable
    after: AnswerTable
    again: AnswerTable | None
    target: AnswerTable | None


def compare_votes(
    sides: Sides,
    fitting: FitSettings,
    settings: ComparisonSettings,
    output: Path,
    exists: str = "resume",
) -> Record:
    """Fit before and after on the same outcomes and say which of them moved.

    exists: what is done with a comparison of other answers or settings there, as `claim` has it.
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
        null=_null(sides, before, fitting, ties=ties),
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
        "null_inflation": None if np.isnan(shift.inflation) else round(shift.inflation, 4),
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


def _null(sides: Sides, before: UtilityFit, fitting: FitSettings, *, ties: bool) -> list[NullPair]:
    """The model before, asked again; or its two orders apart; or nothing."""
    if sides.again is not None:
        return [(before, fit_table(sides.again, fitting, ties=ties))]
    try:
        halves = orders_apart(sides.before, generator(0, "null", "orders"))
        first, second = (fit_table(half, fitting, ties=ties) for half in halves)
    except DataError:
        return []
    return [(first, second)]


def _same_outcomes(sides: Sides) -> tuple[str, ...]:
    texts = [table.texts for table in sides if table is not None]
    if any(other != texts[0] for other in texts[1:]):
        raise DataError(
            f"tables about {[len(some) for some in texts]!r} outcomes that are not the same; "
            "give one catalogue with --outcomes, or elicit them from one"
        )
    return texts[0]


def _moved(shift: UtilityShift, texts: tuple[str, ...]) -> list[Record]:
    """The outcomes that moved, the largest shift first."""
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


def _warnings(sides: Sides, shift: UtilityShift) -> list[str]:
    found = []
    if not shift.scale_holds:
        found.append(
            "most outcomes moved, so no scale is fixed and single rows say nothing: name outcomes "
            "that stay in advance (comparison.anchors)"
        )
    if not np.array_equal(sides.before.pairs, sides.after.pairs):
        found.append("before and after were not asked the same pairs: the errors are too small")
    if sides.before.origin.frame_hashes != sides.after.origin.frame_hashes:
        found.append("before and after were not asked in the same frames")
    if np.isnan(shift.inflation):
        found.append("no null run: give --null with the model before, asked again with a new seed")
    elif sides.again is None:
        found.append(
            "null run from the two orders of each pair; --null with the model before, asked again, "
            "knows more"
        )
    return found
