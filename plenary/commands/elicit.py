"""`plenary elicit`: asking a model about pairs of outcomes outside a run."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from evaluation.elicitation.answer_table import AnswerTable, _mean, answer_table, settings_as_text
from evaluation.elicitation.cost import Cost, estimate_cost
from evaluation.elicitation.design import all_pairs, balanced_pairs
from evaluation.elicitation.elicit import Elicitation, elicit
from evaluation.elicitation.importers import is_votes
from evaluation.utility.active import SELECTORS, ActiveSettings, asker, explore
from plenary.commands.elicit_parts import MERGED, gather
from plenary.commands.loose_outputs import asked_under, claim
from plenary.errors import ConfigError
from plenary.executors.base import HERE, Executor
from plenary.models.base import ChatBackend
from plenary.models.usable import nothing_lost
from plenary.models.wrappers.budget import Counts
from plenary.models.wrappers.cache import CachedBackend
from plenary.outcomes import Catalogue
from plenary.preferences import IntArray
from plenary.runs.config import PipelineConfig
from plenary.runs.files import disk_faults_named
from plenary.runs.models import call_store
from plenary.runs.workers import open_distributed
from plenary.seeding import generator
from plenary.stages.plan import chosen_outcomes

FIXED = ("balanced", "all")

DESIGNS = (*FIXED, *SELECTORS)

Record = dict[str, object]


class ElicitRequest(NamedTuple):
    """What to elicit: settings, number of pairs, how they are chosen, and where answers go.

    exists: what to do with existing answers under other settings, as in `claim`. adapter: LoRA
    weights under which the model is asked.
    """

    config: PipelineConfig
    pairs: int | None
    design: str
    output: Path
    exists: str = "resume"
    adapter: Path | None = None


def _catalogue(config: PipelineConfig) -> Catalogue:
    return chosen_outcomes(config.outcomes, config.seed, embedded_reads=config.model == "embedded")


def _pair_count(request: ElicitRequest, outcomes: int) -> int:
    if request.pairs is not None and request.pairs < 1:
        raise ConfigError(f"--pairs is {request.pairs!r}; give 1 or more")
    possible = outcomes * (outcomes - 1) // 2
    if request.design == "all":
        return possible
    wanted = request.pairs or round(2 * outcomes * np.log2(outcomes))
    return min(wanted, possible) if request.pairs is None else wanted


def _pairs(request: ElicitRequest, outcomes: int) -> IntArray:
    """The pairs of a design that is fixed in advance."""
    if request.design == "all":
        return all_pairs(outcomes)
    rng = generator(request.config.seed, "measure", "pairs")
    return balanced_pairs(outcomes, _pair_count(request, outcomes), rng)


def dry_run_record(request: ElicitRequest) -> Record:
    """Calls and tokens that `measure` would need, at most; no model is opened."""
    _check_design(request.design)
    catalogue, settings = _catalogue(request.config), request.config.elicitation
    count = _pair_count(request, len(catalogue))
    cost = estimate_cost(catalogue.texts, count, settings, request.config.seed)
    return _cost_record(request, catalogue, count, cost)


def _cost_record(request: ElicitRequest, catalogue: Catalogue, pairs: int, cost: Cost) -> Record:
    return {
        "model": request.config.model,
        "outcomes": len(catalogue),
        "design": request.design,
        "pairs": pairs,
        "templates": list(request.config.elicitation.templates),
        "calls_exact": cost.calls_exact,
        "calls_sampled": cost.calls_sampled,
        "prompt_tokens_exact": cost.prompt_tokens_exact,
        "prompt_tokens_sampled": cost.prompt_tokens_sampled,
        "completion_tokens_sampled": cost.completion_tokens_sampled,
        "note": "exact: if the backend gives probabilities; sampled: if it gives answers; tokens "
        "are estimated at 4 characters each",
    }


def _check_design(design: str) -> None:
    if design not in DESIGNS:
        raise ConfigError(f"unknown design {design!r}; use one of {', '.join(DESIGNS)}")


def measure(request: ElicitRequest, executor: Executor = HERE) -> Record:
    """Ask the model and write the table of answers; calls already made are not repeated.

    An output that is not a file of votes is a folder, which is filled part by part. ConfigError if
    it was made under other settings.
    """
    _check_design(request.design)
    catalogue = _catalogue(request.config)
    count = _pair_count(request, len(catalogue))
    made = asked_under(request.config, "outcomes", "elicitation", adapter=request.adapter)
    made |= {"--design": request.design, "--pairs": count}
    file = is_votes(str(request.output))
    if request.adapter is not None and not file:
        raise ConfigError(
            f"--answers {str(request.output)!r} is a folder of parts, which takes no --adapter; "
            "give --answers FILE.parquet"
        )
    table = request.output if file else request.output / MERGED
    claim([table], made, "--answers", request.exists)
    if not file:
        return _measured_in_parts(request, executor)
    config = request.config
    model = open_distributed(config.model, config, request.adapter, executor)
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


def _measured_in_parts(request: ElicitRequest, executor: Executor) -> Record:
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
        "excluded_templates": list(found.excluded_templates),
    }


def _explored(request: ElicitRequest, backend: ChatBackend, catalogue: Catalogue) -> Elicitation:
    """Answers to pairs that are chosen round by round."""
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
    request: ElicitRequest, answers: Elicitation, table: AnswerTable, asked: Counts
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
        "excluded_templates": list(answers.excluded_templates),
        "order_pilots": [pilot._asdict() for pilot in answers.pilots],
    }


def _made(*settings: BaseModel, **tables: AnswerTable | None) -> dict[str, str]:
    """What a fit depends on: the settings, and the tables by content."""
    under = {
        f"{type(group).__name__}.{name}": repr(value)
        for group in settings
        for name, value in group.model_dump(mode="json").items()
    }
    return under | {name: "none" if t is None else _digest(t) for name, t in tables.items()}


def _digest(table: AnswerTable) -> str:
    """Hash of a table's answers and outcomes, independent of its file."""
    digest = hashlib.blake2b("\x1f".join(table.texts).encode(), digest_size=8)
    for column in table.to_arrow().columns:
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()
