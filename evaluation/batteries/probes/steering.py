"""Activation steering: does pushing along the probe's direction change held-out choices?

Doses along the probe are compared with random directions. Shapes: P pairs in both orders, Q = 2 P
questions, D width, R = 20 random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.batteries.base import (
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    figure,
    result,
    tally,
)
from evaluation.batteries.probes.linear_probe import fit_direction, folds_of
from evaluation.batteries.probes.utility_probe import Valued, as_options, refused, unprobed, value
from evaluation.claims.claims import USED
from evaluation.claims.evidence import Steered
from evaluation.stats.intervals import Interval
from evaluation.stats.jackknife import Jackknifed, jackknife
from plenary.errors import BackendError
from plenary.models.activations import Interior, MarkedText, interior_of
from plenary.models.base import ChatBackend
from plenary.preferences import FloatArray, IntArray
from plenary.prompt_templates import prompt_template, question
from plenary.seeding import generator

HEADING = BatteryHeading(
    "steering_check",
    "Steering along the probe",
    "A probe is fitted on some topics, outcomes read as option A, at the layer where pushing along "
    "it moves choices on those topics most. On pairs of the other topics, in both orders, the "
    "tokens of the option shown first are pushed by -2 to 2 standard deviations of the projection; "
    "the figure is the change of that option's log odds per standard deviation. Twenty random "
    "directions of the same length are treated the same way, choice of layer included: only a "
    "slope above all of theirs, whatever their sign, counts as an effect (by chance 1 in 21).",
)
DOSES = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
Labels = tuple[str, str]
SPAN = DOSES[-1] - DOSES[0]
RANDOM, OUTCOMES, HELD_TOPICS = 20, 2.0, 3
PRACTICE, CORE_PAIRS, FULL_PAIRS = 8, 16, 40


class Directions(NamedTuple):
    """Directions [L, 1 + R, D], the probe's first, and the layers [L] where they are pushed.

    Their length is one standard deviation of the outcomes' projection on the probe.
    """

    vectors: FloatArray
    layers: tuple[int, ...]


class DoseResponse(NamedTuple):
    """Change of log odds per standard deviation: along the probe and random directions [R].

    leads: mean log odds at each dose along the probe. layer: where the probe was pushed.
    """

    slope: Jackknifed
    random: FloatArray
    leads: FloatArray
    layer: int

    @property
    def evidence(self) -> Steered:
        """The evidence for a claim that the direction is used."""
        largest = float(np.abs(self.random).max())
        return Steered(self.slope.value, self.slope.low, largest, len(self.random))


def slopes(leads: FloatArray) -> FloatArray:
    """Change of log odds per standard deviation [...], from leads at the extreme doses."""
    return (leads[-1] - leads[0]) / SPAN


def directions(
    inside: Interior, valued: Valued, train: IntArray, name: str, rng: np.random.Generator
) -> Directions:
    """The probe of outcomes `train`, read as option A, at every layer, with random ones."""
    target, texts = valued.target, valued.outcomes.texts
    read = inside.read_marked(as_options([texts[k] for k in train], name)).last
    y, w = target.utilities[train], target.weights[train]
    topics = [target.topics[k] for k in train]
    vectors = np.empty((len(read), 1 + RANDOM, read.shape[2]))
    for at, features in enumerate(read):
        vectors[at, 0] = fit_direction(features, y, w, topics, rng).slope
        vectors[at, 1:] = rng.standard_normal((RANDOM, read.shape[2]))
        vectors[at] /= np.maximum(np.linalg.norm(vectors[at], axis=1, keepdims=True), 1e-300)
        vectors[at] *= (features @ vectors[at, 0]).std()
    return Directions(vectors, inside.layers)


def _by_direction(
    inside: Interior, marked: Sequence[MarkedText], labels: Labels, layer: int, vectors: FloatArray
) -> FloatArray:
    """Slopes [R, Q] of each of `vectors` [R, D] at one layer."""
    pushes = np.concatenate([DOSES[0] * vectors, DOSES[-1] * vectors])
    return slopes(inside.lead(marked, labels, layer, pushes).reshape(2, len(vectors), -1))


def best_layers(
    inside: Interior, practice: Sequence[MarkedText], labels: Labels, found: Directions
) -> IntArray:
    """Place in `layers` [1 + R] where each direction raises the practice options most."""
    moved = [
        _by_direction(inside, practice, labels, layer, vectors).mean(axis=1)
        for layer, vectors in zip(found.layers, found.vectors, strict=True)
    ]
    return np.argmax(moved, axis=0)


def dose_response(
    inside: Interior,
    marked: Sequence[MarkedText],
    labels: Labels,
    found: Directions,
    best: IntArray,
    level: float = 0.95,
) -> DoseResponse:
    """Push the marked options [Q], both orders of a pair adjacent, each direction at its layer."""
    moved = np.empty((1 + RANDOM, len(marked)))
    for at in np.unique(best):
        which = np.flatnonzero(best == at)
        moved[which] = _by_direction(
            inside, marked, labels, found.layers[at], found.vectors[at, which]
        )
    layer, probe = found.layers[best[0]], found.vectors[best[0], 0]
    leads = inside.lead(marked, labels, layer, DOSES[:, None] * probe).mean(axis=1)
    by_pair = moved[0].reshape(-1, 2).mean(axis=1)
    left_out = (by_pair.sum() - by_pair) / (len(by_pair) - 1)
    slope = jackknife(float(by_pair.mean()), left_out, level)
    return DoseResponse(slope, moved[1:].mean(axis=1), leads, layer)


def _pairs_within(members: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Random pairs [P, 2] of the members."""
    i, j = np.triu_indices(len(members), 1)
    some = rng.permutation(len(i))[:count]
    return np.stack([members[i[some]], members[j[some]]], axis=1)


def _first_marked(pairs: IntArray, texts: Sequence[str], name: str) -> list[MarkedText]:
    """Both orders of each pair, adjacent, with the option shown first marked."""
    options = [(texts[int(a)], texts[int(b)]) for a, b in pairs]
    return [
        MarkedText(question(prompt_template(name), first, second), first)
        for one, other in options
        for first, second in ((one, other), (other, one))
    ]


async def measure(model: ChatBackend, material: BatteryMaterial, seed: int) -> BatteryResult:
    """Fit the probe on two thirds of the topics and push on pairs of the others."""
    try:
        inside = interior_of(model)
    except BackendError as error:
        return refused(HEADING, model, error)
    valued = await value(model, material, seed, OUTCOMES)
    answered = tally([valued.answers])
    if not valued.probed:
        return unprobed(HEADING, model, valued)
    rng, name = generator(seed, "steering check"), material.elicitation.template
    labels, texts = (
        (prompt_template(name).labels[0], prompt_template(name).labels[1]),
        valued.outcomes.texts,
    )
    held = folds_of(valued.target.topics, HELD_TOPICS, rng) == 0
    train, count = np.flatnonzero(~held), FULL_PAIRS if material.full else CORE_PAIRS
    practice = _first_marked(_pairs_within(train, PRACTICE, rng), texts, name)
    every = directions(inside, valued, train, name, rng)
    best = best_layers(inside, practice, labels, every)
    pairs = _pairs_within(np.flatnonzero(held), count, rng)
    marked = _first_marked(pairs, texts, name)
    found = dose_response(inside, marked, labels, every, best, material.settings.level)
    return result(
        HEADING, model, answered, _measures(found, len(pairs)), [USED.say(found.evidence)]
    )


def _measures(found: DoseResponse, pairs: int) -> list[Measure]:
    slope = figure(
        "slope along the probe",
        found.slope.value,
        Interval(found.slope.low, found.slope.high),
        interval="over pairs, one left out at a time",
        n=pairs,
        unit="logits per standard deviation",
        floor=0.0,
        note=f"layer {found.layer}",
    )
    random = figure(
        "largest slope of 20 random directions", found.evidence.random_largest, n=RANDOM, floor=0.0
    )
    return [slope, random] + [
        figure(f"log odds at dose {dose:g}", float(lead), n=2 * pairs)
        for dose, lead in zip(DOSES, found.leads, strict=True)
    ]
