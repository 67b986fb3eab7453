"""Neutral dialogues that preserve the embedded model's other abilities during training (replay)."""

from __future__ import annotations

import numpy as np

from plenary.embedded import citizens, dialogue, grammar
from plenary.embedded.values import citizen_weights
from plenary.models.base import Conversation, Message
from plenary.seeding import generator


def _replied(system: str | None, user: str, reply: str) -> Conversation:
    return (*dialogue.conversation(system, user), Message("assistant", reply))


def _two_topics(rng: np.random.Generator) -> tuple[grammar.Sentence, grammar.Sentence]:
    a = grammar.draw_sentence(rng, held_out=False)
    while True:
        b = grammar.draw_sentence(rng, held_out=False)
        if b.topic != a.topic:
            return a, b


def replay_conversations(seed: int, count: int) -> tuple[Conversation, ...]:
    """Conversations with a reply: what an outcome changes, which is on a topic, what to say."""
    rng = generator(seed, "replay")
    titles = citizens.occupations()
    made: list[Conversation] = []
    while len(made) < count:
        a, b = _two_topics(rng)
        kind = len(made) % 3
        if kind == 0:
            user = dialogue.DESCRIBE.format(text=a.text)
            made.append(_replied(None, user, dialogue.describe_attributes(a.attributes)))
        elif kind == 1:
            noun = grammar.topics()[a.topic].noun
            right = "AB"[rng.integers(2)]
            shown = (a.text, b.text) if right == "A" else (b.text, a.text)
            user = f"{dialogue.TOPIC.format(noun=noun)}\n{dialogue.options(*shown)}"
            made.append(_replied(None, user, right))
        else:
            citizen = citizens.draw_citizen(rng, held_out=False, titles=titles)
            weights = citizen_weights(citizens.traits(citizen))
            order = dialogue.SPEAK_ORDER.format(side="A")
            user = f"{dialogue.SPEAK}\n{dialogue.options(a.text, b.text)}\n{order}"
            text = dialogue.draw_statement(weights, a.attributes, b.attributes, rng)
            made.append(_replied(citizens.second_person(citizen), user, text))
    return tuple(made)
