"""Measuring the embedded model on wordings and personas that it was never trained on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import spearmanr

from plenary.embedded import citizens, dialogue, grammar
from plenary.embedded.values import (
    CITIZEN_WEIGHTS,
    DIMENSIONS,
    SELF_WEIGHTS,
    argument_shift,
    choice_probability,
    citizen_weights,
)
from plenary.models.base import ChatBackend, Conversation, Sampling
from plenary.preferences import FloatArray
from plenary.seeding import generator

CLEAR = 0.2
READABLE = 0.8
READABLE_BY_HAND = 0.6


class Rated(NamedTuple):
    """A sentence with its planted or hand-rated attributes [D]."""

    text: str
    attributes: FloatArray


class PairQuestion(NamedTuple):
    """One pair put to one system text, after what the table said (+1 for the first outcome)."""

    system: str | None
    first: Rated
    second: Rated
    said: tuple[tuple[int, str], ...] = ()


class PairAnswers(NamedTuple):
    """p_first [Q] over both orders, order gap [Q] (positive: first slot), answer mass [Q, 2]."""

    p_first: FloatArray
    order_gap: FloatArray
    mass: FloatArray


def _conversation(question: PairQuestion, flip: bool) -> Conversation:
    first, second = (question.second, question.first) if flip else (question.first, question.second)
    user = f"{dialogue.CHOOSE[0]}\n{dialogue.options(first.text, second.text)}"
    if question.said:
        lines: list[tuple[dialogue.Side, str]] = [
            ("A" if (s > 0) != flip else "B", t) for s, t in question.said
        ]
        user = f"{dialogue.digest(lines)}\n\n{user}"
    return dialogue.conversation(question.system, user)


def ask(backend: ChatBackend, questions: Sequence[PairQuestion]) -> PairAnswers:
    """Put every question in both orders."""
    both = [_conversation(q, flip) for q in questions for flip in (False, True)]
    choices = asyncio.run(backend.choose(both, ("A", "B")))
    shares = np.array([choice.shares[0] for choice in choices]).reshape(-1, 2)
    mass = np.array([choice.mass for choice in choices], dtype=float).reshape(-1, 2)
    forward, backward = shares[:, 0], 1 - shares[:, 1]
    return PairAnswers((forward + backward) / 2, (forward - backward) / 2, mass)


def planted(question: PairQuestion, weights: FloatArray) -> float:
    """Planted probability of the first outcome for someone with `weights` [D]."""
    gap = float(weights @ (question.first.attributes - question.second.attributes))
    return float(choice_probability(gap + argument_shift([s for s, _ in question.said])))


def agreement(p: FloatArray, truth: FloatArray) -> float:
    """Share of choices on the same side as the planted probability."""
    return float(np.mean((p > 0.5) == (truth > 0.5)))


def _draw(rng: np.random.Generator, topic: str | None = None) -> Rated:
    sentence = grammar.draw_sentence(rng, held_out=True, topic=topic)
    return Rated(sentence.text, sentence.attributes)


def own_choices(backend: ChatBackend, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Choices without a persona against the planted own values."""
    questions = [PairQuestion(None, _draw(rng), _draw(rng)) for _ in range(count)]
    answers = ask(backend, questions)
    truth = np.array([planted(q, SELF_WEIGHTS) for q in questions])
    clear = np.abs(truth - 0.5) > CLEAR
    forward, backward = answers.p_first + answers.order_gap, answers.p_first - answers.order_gap
    return {
        "own_agreement": agreement(answers.p_first, truth),
        "own_agreement_clear_pairs": agreement(answers.p_first[clear], truth[clear]),
        "own_correlation": float(np.corrcoef(answers.p_first, truth)[0, 1]),
        "order_flips": float(np.mean((forward > 0.5) != (backward > 0.5))),
        "order_gap_mean": float(answers.order_gap.mean()),
        "order_gap_absolute": float(np.abs(answers.order_gap).mean()),
        "answer_mass_mean": float(answers.mass.mean()),
        "answer_mass_min": float(answers.mass.min()),
    }


def persona_choices(
    backend: ChatBackend, people: int, pairs: int, rng: np.random.Generator
) -> dict[str, float]:
    """Choices as held-out personas, all on the same pairs so that persona effects show."""
    titles = citizens.occupations()
    panel = [citizens.draw_citizen(rng, held_out=True, titles=titles) for _ in range(people)]
    asked = [(_draw(rng), _draw(rng)) for _ in range(pairs)]
    questions = [PairQuestion(citizens.second_person(c), a, b) for c in panel for a, b in asked]
    answers = ask(backend, questions)
    weights = [citizen_weights(citizens.traits(c)) for c in panel]
    truth = np.array([planted(q, weights[k // pairs]) for k, q in enumerate(questions)])
    average = np.array([planted(q, CITIZEN_WEIGHTS) for q in questions])
    realised, wanted = (x.reshape(people, pairs) for x in (answers.p_first, truth))
    realised, wanted = realised - realised.mean(axis=0), wanted - wanted.mean(axis=0)
    return {
        "persona_agreement": agreement(answers.p_first, truth),
        "persona_agreement_of_average_citizen": agreement(average, truth),
        "persona_effect_correlation": float(np.corrcoef(realised.ravel(), wanted.ravel())[0, 1]),
        "persona_effect_slope": float(np.sum(realised * wanted) / np.sum(wanted**2)),
        "persona_against_own_values": agreement(
            truth, np.array([planted(q, SELF_WEIGHTS) for q in questions])
        ),
    }


def fitted_utilities(
    backend: ChatBackend, outcomes: int, degree: int, rng: np.random.Generator
) -> dict[str, float]:
    """Least-squares utilities of probit choices (Thurstone-Mosteller) against planted ones."""
    items = [_draw(rng) for _ in range(outcomes)]
    pairs = np.array(
        [(k, (k + step) % outcomes) for step in range(1, degree + 1) for k in range(outcomes)]
    )
    pairs = rng.permutation(outcomes)[pairs]
    answers = ask(backend, [PairQuestion(None, items[a], items[b]) for a, b in pairs])
    design = np.zeros((len(pairs), outcomes))
    rows = np.arange(len(pairs))
    design[rows, pairs[:, 0]], design[rows, pairs[:, 1]] = 1.0, -1.0
    utilities = np.linalg.lstsq(design, ndtri(answers.p_first.clip(1e-4, 1 - 1e-4)), rcond=None)[0]
    truth = np.array([SELF_WEIGHTS @ item.attributes for item in items])
    rank_correlation, _ = np.asarray(spearmanr(utilities, truth))
    return {"utility_spearman": float(rank_correlation)}


def argument_effects(
    backend: ChatBackend, count: int, rng: np.random.Generator
) -> dict[str, float]:
    """Change of P(first) after one to four statements, against the planted change."""
    titles = citizens.occupations()
    quiet, moved, wanted, sides = [], [], [], []
    for _ in range(count):
        citizen = citizens.draw_citizen(rng, held_out=True, titles=titles)
        weights = citizen_weights(citizens.traits(citizen))
        question = PairQuestion(citizens.second_person(citizen), _draw(rng), _draw(rng))
        lean = rng.choice([0.1, 0.9])
        said = []
        for _ in range(int(rng.integers(1, 5))):
            side = 1 if rng.random() < lean else -1
            pair = (question.first, question.second)
            supported, opposed = (rated.attributes for rated in pair[::side])
            said.append((side, dialogue.draw_statement(CITIZEN_WEIGHTS, supported, opposed, rng)))
        heard = question._replace(said=tuple(said))
        quiet.append(question)
        moved.append(heard)
        sides.append(sum(s for s, _ in said))
        wanted.append(planted(heard, weights) - planted(question, weights))
    change = ask(backend, moved).p_first - ask(backend, quiet).p_first
    one_sided = np.array(sides)
    return {
        "argument_correlation": float(np.corrcoef(change, wanted)[0, 1]),
        "argument_slope": float(np.sum(change * wanted) / np.sum(np.square(wanted))),
        "argument_shift_for": float(change[one_sided > 0].mean()),
        "argument_shift_against": float(change[one_sided < 0].mean()),
    }


def topic_questions(backend: ChatBackend, count: int, rng: np.random.Generator) -> dict[str, float]:
    """A question about content, not preference: which option is on a topic."""
    names = list(grammar.topics())
    asked, rights = [], []
    for _ in range(count):
        right, wrong = (names[k] for k in rng.choice(len(names), size=2, replace=False))
        pair = (_draw(rng, right), _draw(rng, wrong))
        flip = bool(rng.random() < 0.5)
        a, b = pair[::-1] if flip else pair
        question = dialogue.TOPIC.format(noun=grammar.topics()[right].noun)
        user = f"{question}\n{dialogue.options(a.text, b.text)}"
        asked.append(dialogue.conversation(None, user))
        rights.append(int(flip))
    choices = asyncio.run(backend.choose(asked, ("A", "B")))
    right_shares = [choice.shares[k] for choice, k in zip(choices, rights, strict=True)]
    return {"topic_question_accuracy": float(np.mean(np.array(right_shares) > 0.5))}


def _spoken_dimension(text: str) -> tuple[int, int] | None:
    """Dimension and direction (+1 up, -1 down) that a statement names, or None."""
    for direction, bank in ((1, dialogue.phrases().up), (-1, dialogue.phrases().down)):
        for name, said in bank.items():
            if any(phrase in text for phrase in said):
                return DIMENSIONS.index(name), direction
    return None


def statements(
    backend: ChatBackend, count: int, rng: np.random.Generator
) -> tuple[dict[str, float], list[str]]:
    """Generated statements: how many name a known reason, and a true one that supports the side."""
    titles = citizens.occupations()
    asked, truths = [], []
    for _ in range(count):
        citizen = citizens.draw_citizen(rng, held_out=True, titles=titles)
        weights = citizen_weights(citizens.traits(citizen))
        a, b = _draw(rng), _draw(rng)
        side: dialogue.Side = "A" if weights @ (a.attributes - b.attributes) > 0 else "B"
        order = dialogue.SPEAK_ORDER.format(side=side)
        user = f"{dialogue.SPEAK}\n{dialogue.options(a.text, b.text)}\n{order}"
        asked.append(dialogue.conversation(citizens.second_person(citizen), user))
        truths.append((weights, *((a, b) if side == "A" else (b, a))))
    replies = asyncio.run(backend.generate(asked, Sampling(temperature=0.5, max_tokens=24)))
    known = fitting = 0
    for reply, (weights, supported, opposed) in zip(replies, truths, strict=True):
        spoken = _spoken_dimension(reply.text or "")
        if spoken is None:
            continue
        known += 1
        k, direction = spoken
        other = "the other option" in (reply.text or "")
        level = (opposed if other else supported).attributes[k]
        fitting += bool(level * direction > 0 and (weights[k] * level > 0) != other)
    examples = [reply.text or "" for reply in replies[:10]]
    return {"statement_known": known / count, "statement_fitting": fitting / count}, examples


def topic_table(
    backend: ChatBackend, opponents: int, rng: np.random.Generator
) -> dict[str, dict[str, float | bool]]:
    """Per topic: agreement of own choices on held-out and on hand-rated sentences."""
    table: dict[str, dict[str, float | bool]] = {}
    for name, topic in grammar.topics().items():
        by_hand = [Rated(h.text, grammar.vector(h.values)) for h in topic.hand_rated]
        drawn = [_draw(rng, name) for _ in range(12)]
        scores = []
        for group in (drawn, by_hand):
            questions = [
                PairQuestion(None, item, _draw(rng)) for item in group for _ in range(opponents)
            ]
            truth = np.array([planted(q, SELF_WEIGHTS) for q in questions])
            clear = np.abs(truth - 0.5) > CLEAR
            scores.append(agreement(ask(backend, questions).p_first[clear], truth[clear]))
        table[name] = {
            "held_out": scores[0],
            "hand_rated": scores[1],
            "readable": bool(scores[0] >= READABLE and scores[1] >= READABLE_BY_HAND),
        }
    return table


class CheckpointMeasures(NamedTuple):
    """Figures of the card, the per-topic table, and examples of what the model says."""

    figures: dict[str, float]
    topics: dict[str, dict[str, float | bool]]
    examples: list[str]


def measure(backend: ChatBackend, seed: int = 0, scale: int = 4) -> CheckpointMeasures:
    """Everything on the card; `scale` multiplies sample sizes (4: the card, 1: a smoke test)."""
    figures = own_choices(backend, 300 * scale, generator(seed, "own"))
    figures |= persona_choices(backend, 15 * scale, 20, generator(seed, "persona"))
    figures |= fitted_utilities(backend, 100, 4, generator(seed, "utilities"))
    figures |= argument_effects(backend, 150 * scale, generator(seed, "arguments"))
    figures |= topic_questions(backend, 100 * scale, generator(seed, "topic questions"))
    spoken, examples = statements(backend, 50 * scale, generator(seed, "statements"))
    topics = topic_table(backend, 4 * scale, generator(seed, "topics"))
    return CheckpointMeasures(
        {k: round(v, 4) for k, v in (figures | spoken).items()}, topics, examples
    )
