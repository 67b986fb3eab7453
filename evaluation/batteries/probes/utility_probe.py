"""Linear probes of utilities in a local model's residual stream, with every control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.batteries.base import (
    AnswerTally,
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    ask_pairs,
    figure,
    result,
    tally,
    unreadable,
)
from evaluation.batteries.probes.linear_probe import (
    LinearProbe,
    ProbeTarget,
    bag_of_words,
    dummies,
    lengths,
    probe,
    probe_transfer,
)
from evaluation.claims.claims import READ_OUT, Finding, gated
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import Elicitation
from evaluation.stats.intervals import Interval, bootstrap_interval, node_weights
from evaluation.stats.jackknife import Jackknifed
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.errors import BackendError
from plenary.models.activations import Activations, Interior, MarkedText, interior_of
from plenary.models.base import ChatBackend
from plenary.outcomes import Catalogue
from plenary.preferences import ComparisonCounts, FloatArray, IntArray, pair_shares
from plenary.prompt_templates import prompt_template, question
from plenary.seeding import derived_seed, generator

HEADING = BatteryHeading(
    "probes",
    "Linear probes of utilities",
    "Ridge regression of fitted utilities on the residual stream, outcome read alone (last token "
    "or mean; layer and penalty by inner folds) or as option A of a choice. R2 holds whole topics "
    "out; a random split shows only that topics are decodable. Controls: shuffled labels; "
    "selectivity, R2 less that of labels shuffled within topics (key hewitt2019); length, bag of "
    "words, topic, random activations and an untrained copy. A probe shows that utilities are "
    "decodable, not that they are used.",
)
OUTCOMES, PAIRS_PER_OUTCOME, HELD_OUT, LEAST_TOPICS = 2.0, 6, 0.2, 6


class Valued(NamedTuple):
    """Outcomes and their fitted utilities; held: cells that the fit has not seen."""

    outcomes: Catalogue
    answers: Elicitation
    fitted: UtilityFit | None
    target: ProbeTarget
    held: ComparisonCounts

    @property
    def probed(self) -> bool:
        """Whether there are utilities that differ, and topics to hold out."""
        differ = self.fitted is not None and bool(np.ptp(self.fitted.mu) > 1e-9)
        usable = tally([self.answers]).usable >= 0.5
        return differ and usable and len(set(self.target.topics)) >= LEAST_TOPICS


def refused(heading: BatteryHeading, model: ChatBackend, error: BackendError) -> BatteryResult:
    """The result for a model that only answers: nothing is asked, the reason is given."""
    nothing = AnswerTally(0, 0, 0.0, float("nan"))
    return result(heading, model, nothing, [], [Finding(f"Uninformative: {error}.", False)])


def unprobed(heading: BatteryHeading, model: ChatBackend, valued: Valued) -> BatteryResult:
    """The result if utilities or topics are lacking."""
    answered, topics = tally([valued.answers]), len(set(valued.target.topics))
    if topics >= LEAST_TOPICS:
        return unreadable(heading, model, answered)
    reason = (
        f"Uninformative: outcomes of {topics} topics, {LEAST_TOPICS} are needed to hold some out."
    )
    return result(heading, model, answered, [], [Finding(reason, False)])


async def value(model: ChatBackend, material: BatteryMaterial, seed: int, least: float) -> Valued:
    """Ask about a sample of the catalogue and fit utilities to four fifths of the pairs."""
    outcomes = material.outcomes(seed, "probes", least=least)
    k, rng = len(outcomes), generator(seed, "probes")
    pairs = balanced_pairs(k, min(PAIRS_PER_OUTCOME * k, k * (k - 1) // 2), rng)
    answers = await ask_pairs(model, outcomes.texts, pairs, material, derived_seed(seed, "answers"))
    held = np.repeat(rng.random(len(pairs)) < HELD_OUT, 2)
    cells, topics = answers.accepted, tuple(o.topic for o in outcomes)
    train = cells.select(~held)
    fitted = fit_answers(train, k, FitSettings(disconnected="flag")) if train.trials.any() else None
    mu, sd = (fitted.mu, fitted.sd) if fitted is not None else np.zeros((2, k))
    # The residual has a variance of its own, so 1 / sd^2 alone would let a few outcomes dominate.
    weights = 1 / np.maximum(sd**2 + np.median(sd**2), 1e-9)
    target = ProbeTarget(mu, _decisiveness(cells, pairs, k), weights / weights.mean(), topics)
    return Valued(outcomes, answers, fitted, target, cells.select(held))


def _decisiveness(cells: ComparisonCounts, pairs: IntArray, outcomes: int) -> FloatArray:
    """Mean |2p - 1| of each outcome's answered pairs [K]."""
    size = np.abs(2 * pair_shares(cells, pairs).p - 1)
    known = ~np.isnan(size)
    members, sizes = pairs[known].ravel(), np.repeat(size[known], 2)
    counts = np.bincount(members, minlength=outcomes)
    return np.bincount(members, sizes, outcomes) / np.maximum(counts, 1)


def as_options(texts: Sequence[str], name: str) -> list[MarkedText]:
    """Each text as option A of a choice; it is read before any option B."""
    form = prompt_template(name)
    others = [texts[0] if text != texts[0] else texts[1] for text in texts]
    return [MarkedText(question(form, a, b), a) for a, b in zip(texts, others, strict=True)]


def stacked(read: Activations) -> list[FloatArray]:
    """Feature sets [N, D]: last token at every layer, then the mean at every layer."""
    return [*read.last, *read.mean]


async def measure(model: ChatBackend, material: BatteryMaterial, seed: int) -> BatteryResult:
    """Ask, read activations and judge the probe; models that hide activations are refused."""
    try:
        inside = interior_of(model)
    except BackendError as error:
        return refused(HEADING, model, error)
    valued = await value(model, material, seed, OUTCOMES)
    answered = tally([valued.answers])
    if not valued.probed:
        return unprobed(HEADING, model, valued)
    texts, rng, level = valued.outcomes.texts, generator(seed, "probing"), material.settings.level
    alone = stacked(inside.read(texts))
    baselines = _baselines(inside, texts, valued.target.topics, alone[0].shape, seed)
    found = probe(alone, baselines, valued.target, rng, level)
    chosen = as_options(texts, material.elicitation.template)
    in_choice = probe(list(inside.read_marked(chosen).last), {}, valued.target, rng, level)
    measures = _measures(found, in_choice, inside.layers, valued)
    measures.append(_against_answers(found, valued, material, rng))
    evidence = found.evidence(_place(found.chosen, inside.layers))
    return result(HEADING, model, answered, measures, [READ_OUT.say(evidence)])


def _baselines(
    inside: Interior,
    texts: Sequence[str],
    topics: Sequence[str],
    shape: tuple[int, ...],
    seed: int,
) -> dict[str, list[FloatArray]]:
    noise = generator(seed, "probes", "random activations").standard_normal(shape)
    untrained = inside.untrained(derived_seed(seed, "untrained"))
    return {
        "topic": [dummies(topics)],
        "length": [lengths(texts)],
        "bag of words": [bag_of_words(texts)],
        "random activations": [noise],
        "untrained copy": stacked(untrained.read(texts)),
    }


def _place(chosen: int, layers: Sequence[int]) -> str:
    pooling = ("last token", "mean over tokens")[chosen // len(layers)]
    return f"layer {layers[chosen % len(layers)]}, {pooling}"


def _over_topics(name: str, found: Jackknifed, n: int, note: str = "") -> Measure:
    return figure(
        name,
        found.value,
        Interval(found.low, found.high),
        interval="over topics, one left out at a time",
        n=n,
        unit="R2",
        floor=0.0,
        better="higher",
        note=note,
    )


def _measures(
    found: LinearProbe, in_choice: LinearProbe, layers: Sequence[int], valued: Valued
) -> list[Measure]:
    n = len(valued.outcomes)
    shown = [
        _over_topics("R2, topics held out", found.r2, n, _place(found.chosen, layers)),
        _over_topics("selectivity", found.selectivity, n, "less labels shuffled within topics"),
        *(_over_topics(f"R2 less {name}", lead, n) for name, lead in found.lead.items()),
        _over_topics(
            "R2 as option A, topics held out", in_choice.r2, n, _place(in_choice.chosen, layers)
        ),
    ]
    plain = {
        "R2 of shuffled labels, largest of 20": float(found.shuffled.max()),
        "R2 of decisiveness, topics held out": found.decisiveness,
        "R2, random split": found.topical,
        "R2 of topic alone, random split": found.by_topic,
        "correlation, topics held out": found.correlation,
    }
    return shown + [figure(name, number, n=n, floor=0.0) for name, number in plain.items()]


def _against_answers(
    found: LinearProbe, valued: Valued, material: BatteryMaterial, rng: np.random.Generator
) -> Measure:
    """Share of answers unseen by the fit that agree with the out-of-fold predictions."""
    cells, settings = valued.held.select(valued.held.trials > 0), material.settings
    gap = found.predicted[cells.first] - found.predicted[cells.second]
    share = cells.wins / cells.trials
    right = np.where(gap == 0, 0.5, np.where(gap > 0, share, 1 - share))
    pairs = np.stack([cells.first, cells.second], axis=1)
    between = bootstrap_interval(
        right, node_weights(pairs, settings.bootstrap, rng), settings.level
    )
    return figure(
        "held-out comparisons predicted", float(right.mean()), between, n=len(right), floor=0.5,
        interval="bootstrap over outcomes", better="higher",
    )  # fmt: skip


async def measure_change(
    before: ChatBackend, after: ChatBackend, material: BatteryMaterial, seed: int
) -> BatteryResult:
    """The base model's probe applied to the tuned model: does the read-out survive tuning?"""
    insides = [interior_of(model) for model in (before, after)]
    old, new = [await value(model, material, seed, OUTCOMES) for model in (before, after)]
    heading = BatteryHeading("probe_transfer", "The probe before and after", HEADING.definition)
    answered = tally([old.answers, new.answers])
    for valued in (old, new):
        if not valued.probed:
            return unprobed(heading, after, valued)
    rng, level, texts = generator(seed, "transfer"), material.settings.level, old.outcomes.texts
    features = stacked(insides[0].read(texts))
    base = probe(features, {}, old.target, rng, level)
    moved = stacked(insides[1].read(texts))[base.chosen]
    found = probe_transfer(features[base.chosen], moved, old.target, new.target, rng, level)
    n, place = len(old.outcomes), _place(base.chosen, insides[0].layers)
    measures = [
        _over_topics("R2 before", base.r2, n, place),
        _over_topics("R2 of the base probe after", found.kept, n, place),
        _over_topics("R2 of a refit probe after", found.refit, n, place),
        figure("cosine of the two probes", found.cosine, n=n),
    ]
    finding = gated(
        base.r2.low > 0 and found.kept.low > 0,
        "The base model's probe still reads utilities after tuning.",
        "That the base model's probe reads utilities after tuning was not shown.",
    )
    return result(heading, after, answered, measures, [finding])
