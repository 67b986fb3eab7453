"""Cost estimate of an elicitation (calls, tokens) before any model is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.elicitation.asking import conversations
from evaluation.elicitation.design import random_pairs
from evaluation.elicitation.elicit import ElicitationSettings, pilot_pairs
from plenary.models.base import Conversation
from plenary.preferences import IntArray
from plenary.prompt_templates import PromptTemplate, prompt_template
from plenary.seeding import generator

CHARACTERS_A_TOKEN = 4
TOKENS_A_MESSAGE = 4
ANSWER_TOKENS = 3
SAMPLE = 400


class Cost(NamedTuple):
    """Model calls and estimated tokens of an elicitation.

    exact: if the backend gives probabilities; sampled: if it gives answers. For templates with
    reasoning, a call is one line of reasoning or one answer after it.
    """

    calls_exact: int
    calls_sampled: int
    prompt_tokens_exact: int
    prompt_tokens_sampled: int
    completion_tokens_sampled: int


def tokens(conversation: Conversation) -> int:
    """Estimated tokens of a conversation, without a tokenizer."""
    characters = sum(len(message.content) for message in conversation)
    return -(-characters // CHARACTERS_A_TOKEN) + TOKENS_A_MESSAGE * len(conversation)


class Questions(NamedTuple):
    """Presentations in a template, and the answers they take from a backend that samples."""

    shown: int
    answers: int


def questions(pairs: int, settings: ElicitationSettings) -> Questions:
    """Two presentations per pair in both orders; with a pilot, two for the pairs in it."""
    if settings.orders == "both":
        return Questions(2 * pairs, 2 * pairs * settings.samples)
    pilot = pilot_pairs(pairs, settings)
    answers = 2 * pilot * max(settings.samples, settings.pilot_samples)
    return Questions(pairs + pilot, answers + (pairs - pilot) * settings.samples)


def _template_cost(
    form: PromptTemplate, prompt: float, asked: Questions, settings: ElicitationSettings
) -> Cost:
    shown, answers = asked
    if form.after_reasoning is None:
        return Cost(
            shown,
            answers,
            round(shown * prompt),
            round(answers * prompt),
            answers * ANSWER_TOKENS,
        )
    # Reasons, then an answer that has read them.
    decided = len(form.after_reasoning) / CHARACTERS_A_TOKEN + settings.reason_tokens
    read = round(answers * (2 * prompt + decided))
    spoken = answers * (settings.reason_tokens + ANSWER_TOKENS)
    return Cost(2 * answers, 2 * answers, read, read, spoken)


def estimate_cost(
    texts: Sequence[str], pairs: int, settings: ElicitationSettings, seed: int = 0
) -> Cost:
    """Calls and tokens to ask `pairs` pairs of `texts` [K] per template; prompts are sampled."""
    k = len(texts)
    count = min(SAMPLE, k * (k - 1) // 2)
    sample: IntArray = random_pairs(k, count, generator(seed, "cost"))
    asked, total = questions(pairs, settings), np.zeros(5, dtype=np.int64)
    for name in settings.templates:
        form = prompt_template(name)
        prompts = [tokens(words) for words in conversations(form, texts, sample)]
        total += np.array(_template_cost(form, float(np.mean(prompts)), asked, settings))
    return Cost(*(int(value) for value in total))
