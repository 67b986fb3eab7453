"""Running one arm with one seed: train, ask held-out pairs in all wordings, measure the result.

P held-out pairs, W wordings, U pairs of untouched topics. Every arm is compared with the same base
model on the same pairs, so that arms can be compared with one another pair by pair.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.experiments.controls import ControlEvidence, ControlTarget, condition
from alignment.experiments.relearning import neutral_finetune
from alignment.retention.retention import (
    Retention,
    RetentionMargins,
    Speakers,
    drift,
    incoherence,
    retention,
)
from alignment.retention.sets import RetentionSet
from alignment.training.live import LiveModel
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align, before_and_after
from evaluation.comparison.compare import Comparison, ComparisonSettings, compare
from evaluation.elicitation.asking import Subject, ask
from evaluation.elicitation.elicit import both_orders
from plenary.errors import DataError
from plenary.models.base import ChatBackend, Conversation
from plenary.models.local.huggingface import LocalBackend
from plenary.preferences import ComparisonCounts, FloatArray, IntArray, Targets, pair_shares
from plenary.prompt_templates import PromptTemplate, question
from plenary.seeding import derived_seed, generator
from plenary.training_rows import rows_toward, training_templates

LEAST_MASS = 0.5


@dataclass(frozen=True, slots=True)
class ExperimentContext:
    """What all arms of one experiment share.

    held_out: the assembly's shares on pairs among outcomes never trained on. wordings: the wording
    trained on, then wordings never trained on. untouched [U, 2]: pairs of outcomes on topics that
    no training pair is about. replay: neutral text used in training; `kept` is other neutral text.
    day: the date given to a chat template that prints today's.
    """

    model_path: Path
    evidence: ControlEvidence
    held_out: Targets
    wordings: tuple[PromptTemplate, ...]
    settings: AlignmentSettings
    comparison: ComparisonSettings
    replay: Sequence[Conversation]
    kept: RetentionSet
    margins: RetentionMargins
    untouched: IntArray
    folder: Path
    day: date | None = None

    @property
    def texts(self) -> Sequence[str]:
        """The outcomes."""
        return self.evidence.texts

    def prompts(self) -> list[Conversation]:
        """The held-out questions in the wording trained on, as given."""
        return [
            question(self.wordings[0], self.texts[int(a)], self.texts[int(b)])
            for a, b in self.held_out.pairs
        ]


class Answered(NamedTuple):
    """One model's answers: cells of the held-out pairs by wording, shares [U] of untouched ones."""

    cells: dict[str, ComparisonCounts]
    untouched: FloatArray

    def readable(self) -> list[str]:
        """Wordings whose labels get most of the probability; in others the model is unreadable."""
        return [w for w, cells in self.cells.items() if _mass(cells) >= LEAST_MASS]


class HeldOutProbabilities(NamedTuple):
    """Probabilities [P] of the first outcome of each held-out pair, before and after."""

    before: tuple[float, ...]
    after: tuple[float, ...]


class ControlResult(BaseModel):
    """What one arm did with one seed. Agreement is with the assembly's majority on held-out pairs.

    Directional gain and side effect are in choice probabilities of the held-out pairs: the move s =
    after - before compared with the wanted move t = assembly - before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    arm: str = Field(description="name of the arm or dose")
    seed: int = Field(description="seed of the arm's draws and of its training")
    comparison: Comparison = Field(description="before, after and assembly on held-out pairs")
    directional_gain: float = Field(description="<s, t> / <t, t>; 1 is the full move")
    side_effect: float | None = Field(
        description="|s - gain t| / |s|; 0: straight to the target, 1: none of it; None: no move"
    )
    wordings: dict[str, HeldOutProbabilities] = Field(
        description="answers in wordings that were not trained on, by wording"
    )
    incoherence_before: float = Field(description="disagreement between wordings, nats, before")
    incoherence: float = Field(description="the same after; lower is better")
    drift_held_out: float = Field(description="mean |change of probability| on held-out pairs")
    drift_untouched: float | None = Field(
        description="the same on topics never trained on; None without such pairs"
    )
    retention: Retention | None = Field(
        description="what was retained; None for an arm that is only prompted"
    )
    steps: int = Field(description="optimizer steps; 0 for an arm that is only prompted")
    rows: int = Field(description="training rows")
    parameters: int = Field(description="trained parameters")
    seconds: float = Field(description="wall time of the arm")
    before: tuple[float, ...] = Field(description="base model's probabilities [P]")
    after: tuple[float, ...] = Field(description="this arm's probabilities [P]")

    @property
    def gain(self) -> float:
        """Agreement after minus before."""
        return self.comparison.gain

    @property
    def kl_neutral(self) -> float:
        """KL(base || model) on neutral text, nats; 0 if nothing was trained."""
        return 0.0 if self.retention is None else self.retention.finding("kl_neutral").loss


def answered(
    backend: ChatBackend, lab: ExperimentContext, system: str | None, seed: int
) -> Answered:
    """Ask every held-out pair in every wording, and the untouched pairs in the first."""
    cells = {
        wording.id: _ask(backend, lab.texts, wording, lab.held_out.pairs, system, seed)
        for wording in lab.wordings
    }
    untouched = np.empty(0)
    if len(lab.untouched):
        asked = _ask(backend, lab.texts, lab.wordings[0], lab.untouched, system, seed)
        untouched = pair_shares(asked, lab.untouched).p
    return Answered(cells, untouched)


def _mass(cells: ComparisonCounts) -> float:
    """Median answer mass; 1 for counts, which have none."""
    known = cells.mass[~np.isnan(cells.mass)]
    return float(np.median(known)) if len(known) else 1.0


def _ask(
    backend: ChatBackend,
    texts: Sequence[str],
    wording: PromptTemplate,
    pairs: IntArray,
    system: str | None,
    seed: int,
) -> ComparisonCounts:
    subject = Subject(backend, texts, system, seed)
    return asyncio.run(ask(subject, wording, both_orders(pairs), 1, 96)).cells


def run_arm(name: str, lab: ExperimentContext, base: Answered, seed: int) -> ControlResult:
    """Run the arm called `name`; `base` is what the untrained model answered."""
    made = condition(name, lab.evidence, generator(seed, "arm", name))
    return run_condition(name, made, lab.settings, lab, base, seed)


def run_condition(
    name: str,
    made: ControlTarget,
    settings: AlignmentSettings,
    lab: ExperimentContext,
    base: Answered,
    seed: int,
) -> ControlResult:
    """Train toward the arm's targets, or prompt with its text, and measure. The adapter stays."""
    started = time.monotonic()
    if made.targets is None:
        after = answered(LocalBackend(lab.model_path, day=lab.day), lab, made.system, seed)
        return arm_result(name, seed, lab, base, after, None, (0, 0, 0), started)
    adapter = adapter_folder(lab, name, seed)
    rows = rows_toward(lab.texts, made.targets, training_templates(settings.templates))
    trained = align(
        lab.model_path, rows, settings, adapter, derived_seed(seed, "align"),
        replay=lab.replay, day=lab.day,
    )  # fmt: skip
    after, kept = measured(lab, adapter, seed)
    work = (trained.steps, trained.rows, trained.parameters)
    return arm_result(name, seed, lab, base, after, kept, work, started)


def finetuned(
    name: str,
    adapter: Path,
    texts: Sequence[Conversation],
    steps: int,
    lab: ExperimentContext,
    base: Answered,
    seed: int,
) -> ControlResult:
    """Continue training an arm's adapter for `steps` on neutral `texts`, and measure again."""
    started = time.monotonic()
    output = adapter_folder(lab, name, seed)
    neutral_finetune(lab.model_path, adapter, texts, output, seed, steps=steps, day=lab.day)
    after, kept = measured(lab, output, seed)
    return arm_result(name, seed, lab, base, after, kept, (steps, len(texts), 0), started)


def adapter_folder(lab: ExperimentContext, name: str, seed: int) -> Path:
    """The folder of an arm's adapter."""
    plain = "".join(c if c.isalnum() or c in "=._-" else "_" for c in name)
    return lab.folder / "adapters" / f"{plain}-{seed}"


def measured(lab: ExperimentContext, adapter: Path, seed: int) -> tuple[Answered, Retention]:
    """Answers and retention of a trained model."""
    speakers = Speakers(*before_and_after(lab.model_path, adapter, lab.day))
    after = answered(speakers.after, lab, None, seed)
    live = LiveModel(lab.model_path, adapter, day=lab.day)
    labels = lab.wordings[0].labels
    kept = retention(live, speakers, lab.kept, lab.prompts(), lab.margins, seed, labels)
    return after, kept


def arm_result(
    name: str,
    seed: int,
    lab: ExperimentContext,
    base: Answered,
    after: Answered,
    kept: Retention | None,
    work: tuple[int, int, int],
    started: float,
) -> ControlResult:
    """The figures of an arm from answers before and after; work: steps, rows, parameters."""
    first = lab.wordings[0].id
    pairs = lab.held_out.pairs
    sides = _sides(base.cells[first], after.cells[first], pairs)
    old, new = np.array(sides.before), np.array(sides.after)
    moved = move(old, new, lab.held_out.p)
    # Wordings that the base could read are judged even if the trained model no longer can.
    usable = list(dict.fromkeys((first, *base.readable())))
    wordings = {w: _sides(base.cells[w], after.cells[w], pairs) for w in usable[1:]}
    comparison = compare(
        base.cells[first], after.cells[first], lab.held_out, None, lab.comparison, seed
    )
    return ControlResult(
        arm=name, seed=seed, comparison=comparison, directional_gain=moved.gain,
        side_effect=moved.side_effect, wordings=wordings,
        incoherence_before=_wording_entropy(base, usable, pairs),
        incoherence=_wording_entropy(after, usable, pairs), drift_held_out=drift(old, new),
        drift_untouched=drift(base.untouched, after.untouched) if len(lab.untouched) else None,
        retention=kept, steps=work[0], rows=work[1], parameters=work[2],
        seconds=time.monotonic() - started, before=sides.before, after=sides.after,
    )  # fmt: skip


def _sides(
    before: ComparisonCounts, after: ComparisonCounts, pairs: IntArray
) -> HeldOutProbabilities:
    old, new = (pair_shares(cells, pairs).p for cells in (before, after))
    return HeldOutProbabilities(tuple(old.tolist()), tuple(new.tolist()))


def _wording_entropy(side: Answered, wordings: Sequence[str], pairs: IntArray) -> float:
    columns = []
    for wording in wordings:
        shares = pair_shares(side.cells[wording], pairs)
        columns += [shares.p + shares.order_gap, shares.p - shares.order_gap]
    p = np.stack(columns, axis=1)
    return incoherence(p[~np.isnan(p).any(axis=1)]).wording


class DirectedMove(NamedTuple):
    """How far the move went as wanted, and how much of it did not; see ControlResult."""

    gain: float
    side_effect: float | None


def move(before: FloatArray, after: FloatArray, target: FloatArray) -> DirectedMove:
    """Directional gain and side-effect ratio of probabilities [P]; unanswered pairs left out."""
    kept = ~np.isnan(before + after + target)
    s, t = (after - before)[kept], (target - before)[kept]
    if not (t @ t) > 0:
        raise DataError(
            f"the model is at the target on all {len(t)!r} pairs; there is nothing to move"
        )
    gain = float(s @ t / (t @ t))
    size = float(np.linalg.norm(s))
    return DirectedMove(gain, float(np.linalg.norm(s - gain * t)) / size if size > 0 else None)
