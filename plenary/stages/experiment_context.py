"""What a control experiment needs from a run: evidence, held-out pairs, retention set, wordings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from alignment.experiments.controls import ControlEvidence
from alignment.experiments.experiment import ExperimentContext
from alignment.retention.retention import Retention, RetentionMargins, Speakers, retention
from alignment.retention.sets import RetentionSet, load_retention_set
from alignment.training.live import LiveModel
from alignment.training.train import before_and_after
from assembly.aggregation.consensus import Consensus
from assembly.record.ballots import AFTER, citizen_shares
from evaluation.elicitation.elicit import elicit
from plenary.embedded.dialogue import CHOOSE
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.models.wrappers.cache import CachedBackend
from plenary.outcomes import Outcome, default_outcomes, load_outcomes
from plenary.preferences import IntArray, Targets, pair_shares
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate, prompt_template, question
from plenary.runs import filenames
from plenary.runs.filenames import FOLDER
from plenary.runs.models import EMBEDDED, call_store, checkpoint_path, citizens_models
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed, generator
from plenary.stages.neutral_text import neutral_text

UNTOUCHED = 60


def context(space: Workspace, kept: str | None = None) -> ExperimentContext:
    """The context of a control experiment, from a run's files."""
    config, plan = space.config, space.plan
    extra = untouched_outcomes(space)
    texts = (*plan.texts, *(outcome.text for outcome in extra))
    folder = space.file(FOLDER)
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    return ExperimentContext(
        model_path=checkpoint_path(config.model),
        evidence=evidence(space, texts),
        held_out=space.targets("held_out"),
        wordings=(
            prompt_template(config.alignment.templates[0]),
            *untrained_wordings(config.model),
        ),
        settings=config.alignment,
        comparison=config.comparison,
        replay=neutral_text(space, "replay").conversations,
        kept=retention_set(space, kept),
        margins=RetentionMargins(),
        untouched=_some_pairs(len(plan.texts), len(extra), space.seed),
        folder=folder,
        day=config.chat.day,
    )


def untrained_wordings(model: str) -> tuple[PromptTemplate, ...]:
    """Wordings that training never uses; for the shipped model, only those that it can read."""
    if model == EMBEDDED:
        return tuple(
            PromptTemplate(
                f"embedded-{k}", 1, f"{text}\nOption A: {{a}}\nOption B: {{b}}", trainable=False
            )
            for k, text in enumerate(CHOOSE[1:], 1)
        )
    return tuple(
        f for f in PROMPT_TEMPLATES.values() if not f.trainable and f.after_reasoning is None
    )


def untouched_outcomes(space: Workspace) -> tuple[Outcome, ...]:
    """Outcomes of the catalogue on topics that do not occur in the run."""
    path = space.config.outcomes.path
    asked = {outcome.topic for outcome in space.plan.outcomes}
    catalogue = load_outcomes(path) if path else default_outcomes()
    return tuple(outcome for outcome in catalogue if outcome.topic not in asked)


def _some_pairs(first: int, count: int, seed: int) -> IntArray:
    everything = np.array(
        [(first + a, first + b) for a in range(count) for b in range(a + 1, count)], dtype=np.int64
    ).reshape(-1, 2)
    rng = generator(seed, "sweep", "untouched")
    return everything[np.sort(rng.permutation(len(everything))[:UNTOUCHED])]


def evidence(space: Workspace, texts: Sequence[str], *, held: bool = False) -> ControlEvidence:
    """What the control targets are made from, including the citizens' model without a persona.

    On the training pairs, or (held) on the held-out pairs.
    """
    side = "held_out" if held else "train"
    assembly = space.targets(side)
    before = Consensus.read(space.file(filenames.CONSENSUS_BEFORE))
    shares = citizen_shares(space.votes, AFTER, len(space.panel), len(space.plan.pairs))
    at = {(int(a), int(b)): k for k, (a, b) in enumerate(space.plan.pairs)}
    columns = [at[int(a), int(b)] for a, b in assembly.pairs]
    return ControlEvidence(
        texts=texts,
        assembly=assembly,
        undiscussed=space.targets(side, before),
        unprompted=_unprompted(space, assembly),
        citizens=shares[:, columns],
        weight=space.panel.weight,
    )


def _unprompted(space: Workspace, assembly: Targets) -> Targets:
    """The citizens' model without a persona on the assembly's pairs; recorded calls are reused."""
    models = citizens_models(space.config)
    model: BudgetedBackend = space.model(max(models, key=lambda spec: models[spec]))
    with call_store(space.file(filenames.CALLS)) as store:
        answers = asyncio.run(
            elicit(
                CachedBackend(model, store),
                space.plan.texts,
                assembly.pairs,
                space.config.elicitation,
                seed=derived_seed(space.seed, "elicit"),
            )
        )
    p = pair_shares(answers.accepted, assembly.pairs).p
    known = ~np.isnan(p)
    return Targets(assembly.pairs[known], p[known], assembly.weight[known])


def reference_retention(space: Workspace) -> Retention:
    """What the run's own adapter kept, measured on the run's retention set."""
    path, adapter = checkpoint_path(space.config.model), space.file(filenames.ADAPTER)
    form, texts = prompt_template(space.config.alignment.templates[0]), space.plan.texts
    pairs = space.plan.pairs[space.held_out_mask]
    asked = [question(form, texts[int(a)], texts[int(b)]) for a, b in pairs]
    day = space.config.chat.day
    speakers = Speakers(*before_and_after(path, adapter, day))
    live, kept = LiveModel(path, adapter, day=day), retention_set(space)
    return retention(live, speakers, kept, asked, RetentionMargins(), space.seed, form.labels)


def retention_set(space: Workspace, name: str | None = None) -> RetentionSet:
    """The retention set of that name or file; None: the one that suits the run's model."""
    shipped = "embedded" if space.config.model == EMBEDDED else "general"
    return load_retention_set(name or shipped)
