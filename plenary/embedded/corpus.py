"""Training texts of the embedded model, generated without end and packed for speed.

A pack is one system text (a persona, or none) followed by several independent questions. A question
attends to the system text and to itself only, and its positions continue from the system text, so
training on a pack equals training on its questions one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerFast

from plenary.embedded import citizens, dialogue, grammar
from plenary.embedded.tokenizer import END, LABELS
from plenary.embedded.values import (
    CITIZEN_WEIGHTS,
    SELF_WEIGHTS,
    argument_shift,
    choice_probability,
    citizen_weights,
)
from plenary.preferences import FloatArray


class Mix(NamedTuple):
    """What a stage of the curriculum consists of; shares of tasks sum to one."""

    persona: float
    clear: float
    plain: float
    tasks: dict[str, float]


STAGES = (
    (0.10, Mix(0.0, 0.3, 0.3, {"choose": 0.72, "topic": 0.2, "describe": 0.08})),
    (0.40, Mix(0.75, 0.1, 0.6, {"choose": 0.85, "topic": 0.08, "describe": 0.04, "debate": 0.03})),
    (1.01, Mix(0.65, 0.0, 0.7, {"choose": 0.45, "debate": 0.25, "declare": 0.04, "speak": 0.13,
                               "topic": 0.07, "describe": 0.03, "name": 0.03})),
)  # fmt: skip


READING = Mix(0.3, 0.0, 0.0, {})


class Answer(NamedTuple):
    """A supervised choice: its place, target P("A"), and what that follows from; vectors are [D].

    first, second: attributes of the outcomes shown as A and B. planted: whether the planted
    `weights` and the `shift` by arguments decide it, not the topic.
    """

    place: int
    p_first: float
    weights: FloatArray
    first: FloatArray
    second: FloatArray
    shift: float
    planted: bool


@dataclass(slots=True)
class Pack:
    """Token ids, positions and question numbers of one pack, with what is supervised where.

    option_ends: (place, attributes). persona_end: (place, weights). argument_ends: (place, side,
    +1 for A and -1 for B). spoken: (place, next token id).
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    questions: list[int] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    option_ends: list[tuple[int, FloatArray]] = field(default_factory=list)
    persona_end: tuple[int, FloatArray] | None = None
    argument_ends: list[tuple[int, float]] = field(default_factory=list)
    spoken: list[tuple[int, int]] = field(default_factory=list)


def mix_at(progress: float) -> Mix:
    """The mix at a share 0..1 of the training."""
    return next(mix for end, mix in STAGES if progress < end)


class Corpus:
    """Draws packs of questions, either all trained or all held out (wordings and personas alike).

    length: a pack takes questions until it is within 60 tokens of it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        rng: np.random.Generator,
        length: int,
        *,
        held_out: bool = False,
    ) -> None:
        self.rng = rng
        self.length = length
        self.held_out = held_out
        self.titles = citizens.occupations()
        self._core = tokenizer.backend_tokenizer
        ids = tokenizer.get_vocab()
        self._end = ids[END]
        self._roles = {role: ids[f"<|{role}|>"] for role in ("system", "user", "assistant")}
        self._labels = tuple(ids[label] for label in LABELS)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text without special tokens."""
        return self._core.encode(text, add_special_tokens=False).ids

    def pack(self, progress: float) -> Pack:
        """One pack of the stage that `progress` (0..1) falls in."""
        mix = mix_at(progress)
        pack = Pack()
        weights = self._begin(pack, mix)
        number = 0
        while len(pack.ids) < self.length - 60 and number < 24:
            task = self.rng.choice(list(mix.tasks), p=list(mix.tasks.values()))
            if task in ("choose", "debate", "declare"):
                number = self._choices(pack, number, str(task), weights, mix)
            else:
                number += 1
                getattr(self, f"_{task}")(pack, number, weights)
        return pack

    def reading_pack(self) -> Pack:
        """One pack that only has to be read: sometimes a persona, and outcomes."""
        pack = Pack()
        self._begin(pack, READING)
        number = 0
        while len(pack.ids) < self.length - 20:
            number += 1
            sentence = grammar.draw_sentence(self.rng, held_out=self.held_out)
            self._append(pack, number, self.encode(f"Option {'AB'[self.rng.integers(2)]}:"))
            place = self._append(pack, number, self.encode(self._cased(sentence.text)))
            pack.option_ends.append((place, sentence.attributes))
        return pack

    def _begin(self, pack: Pack, mix: Mix) -> FloatArray:
        if self.rng.random() >= mix.persona:
            if self.rng.random() < 0.3:
                self._system(pack, dialogue.HELPFUL)
            return SELF_WEIGHTS
        citizen = citizens.draw_citizen(self.rng, held_out=self.held_out, titles=self.titles)
        style = self.rng.choice([0, 1, 2], p=[0.75, 0.1, 0.15])
        text = (citizens.second_person, citizens.first_person, citizens.facts_list)[style](citizen)
        weights = citizen_weights(citizens.traits(citizen))
        self._system(pack, text)
        pack.persona_end = (len(pack.ids) - 1, weights)
        return weights

    def _system(self, pack: Pack, text: str) -> None:
        ids = [self._roles["system"], *self.encode(text), self._end]
        pack.ids += ids
        pack.positions += range(len(ids))
        pack.questions += [0] * len(ids)

    def _append(self, pack: Pack, number: int, ids: list[int]) -> int:
        """Append tokens to question `number`; returns the place of the last one."""
        if not pack.questions or pack.questions[-1] != number:
            start = pack.questions.count(0)
        else:
            start = pack.positions[-1] + 1
        pack.ids += ids
        pack.positions += range(start, start + len(ids))
        pack.questions += [number] * len(ids)
        return len(pack.ids) - 1

    def _pair(self, weights: FloatArray, clear: float) -> tuple[grammar.Sentence, grammar.Sentence]:
        """Two outcomes: decisive ones early on, often ones on which a persona is unusual."""
        best, best_score = None, -1.0
        tries = 4 if weights is not SELF_WEIGHTS and self.rng.random() < 0.5 else 1
        while best is None or tries > 0:
            a = grammar.draw_sentence(self.rng, held_out=self.held_out)
            same = a.topic if self.rng.random() < 0.15 else None
            b = grammar.draw_sentence(self.rng, held_out=self.held_out, topic=same)
            gap = a.attributes - b.attributes
            p = float(choice_probability(float(weights @ gap)))
            if a.text == b.text or abs(p - 0.5) < clear:
                continue
            tries -= 1
            score = abs(
                float(choice_probability(weights @ gap) - choice_probability(CITIZEN_WEIGHTS @ gap))
            )
            if score > best_score:
                best, best_score = (a, b), score
        return best

    def _question(self, task: str, plain: float) -> str:
        if task == "declare":
            return dialogue.DECLARE[0]
        choice = 0 if self.rng.random() < plain else int(self.rng.integers(1, len(dialogue.CHOOSE)))
        return dialogue.CHOOSE[choice]

    def _options(
        self, pack: Pack, number: int, a: grammar.Sentence, b: grammar.Sentence, lead: str
    ) -> None:
        for text, sentence in ((f"{lead}\nOption A:", a), ("Option B:", b)):
            self._append(pack, number, self.encode(text))
            place = self._append(pack, number, self.encode(self._cased(sentence.text)))
            pack.option_ends.append((place, sentence.attributes))

    def _cased(self, text: str) -> str:
        return text if self.rng.random() < 0.7 else text[:1].lower() + text[1:]

    def _arguments(
        self, weights: FloatArray, first: FloatArray, second: FloatArray
    ) -> list[tuple[int, str]]:
        """Statements of others about a pair, +1 for the first outcome and -1 for the second."""
        lean = self.rng.choice([0.15, 0.5, 0.85])
        said = []
        for _ in range(int(self.rng.integers(1, 6))):
            side = 1 if self.rng.random() < lean else -1
            speaker = CITIZEN_WEIGHTS + self.rng.normal(0, 0.35, len(weights))
            supported, opposed = (first, second) if side > 0 else (second, first)
            said.append((side, dialogue.draw_statement(speaker, supported, opposed, self.rng)))
        return said

    def _choices(self, pack: Pack, number: int, task: str, weights: FloatArray, mix: Mix) -> int:
        """The same choice in both orders, as two questions."""
        pair = self._pair(weights, mix.clear)
        hears = task == "debate" or (task == "declare" and self.rng.random() < 0.5)
        said = self._arguments(weights, pair[0].attributes, pair[1].attributes) if hears else []
        question = self._question(task, mix.plain)
        for flip in (1, -1):
            number += 1
            a, b = pair if flip > 0 else pair[::-1]
            self._append(pack, number, [self._roles["user"]])
            self._digest(pack, number, [(side * flip, text) for side, text in said])
            self._options(pack, number, a, b, question)
            place = self._append(pack, number, [self._end, self._roles["assistant"]])
            shift = argument_shift([side * flip for side, _ in said])
            gap = float(weights @ (a.attributes - b.attributes)) + shift
            p = float(choice_probability(gap))
            pack.answers.append(Answer(place, p, weights, a.attributes, b.attributes, shift, True))
            if self.rng.random() < 0.1:
                self._append(pack, number, [self._labels[int(self.rng.random() >= p)]])
                pack.spoken.append((len(pack.ids) - 1, self._end))
        return number

    def _digest(self, pack: Pack, number: int, said: list[tuple[int, str]]) -> None:
        if not said:
            return
        self._append(pack, number, self.encode(dialogue.DIGEST))
        for side, text in said:
            place = self._append(
                pack, number, self.encode(f"For {'A' if side > 0 else 'B'}: {text}")
            )
            pack.argument_ends.append((place, float(side)))

    def _reply(self, pack: Pack, number: int, text: str) -> None:
        place = self._append(pack, number, [self._end, self._roles["assistant"]])
        ids = [*self.encode(text), self._end]
        pack.spoken += [(place + k, token) for k, token in enumerate(ids)]
        self._append(pack, number, ids[:-1])

    def _speak(self, pack: Pack, number: int, weights: FloatArray) -> None:
        a, b = self._pair(weights, 0.0)
        gap = float(weights @ (a.attributes - b.attributes))
        side: dialogue.Side = "A" if self.rng.random() < float(choice_probability(gap)) else "B"
        supported, opposed = (a, b) if side == "A" else (b, a)
        self._append(pack, number, [self._roles["user"]])
        if self.rng.random() < 0.4:
            said = self._arguments(weights, a.attributes, b.attributes)[:3]
            self._digest(pack, number, said)
        self._options(pack, number, a, b, dialogue.SPEAK)
        self._append(pack, number, self.encode(dialogue.SPEAK_ORDER.format(side=side)))
        text = dialogue.draw_statement(weights, supported.attributes, opposed.attributes, self.rng)
        self._reply(pack, number, text)

    def _topic(self, pack: Pack, number: int, weights: FloatArray) -> None:
        names = list(grammar.topics())
        right, wrong = self.rng.choice(len(names), size=2, replace=False)
        pair = [
            grammar.draw_sentence(self.rng, held_out=self.held_out, topic=names[k])
            for k in (right, wrong)
        ]
        first = bool(self.rng.random() < 0.5)
        a, b = pair if first else pair[::-1]
        self._append(pack, number, [self._roles["user"]])
        question = dialogue.TOPIC.format(noun=grammar.topics()[names[right]].noun)
        self._options(pack, number, a, b, question)
        place = self._append(pack, number, [self._end, self._roles["assistant"]])
        p = 0.99 if first else 0.01
        pack.answers.append(Answer(place, p, weights, a.attributes, b.attributes, 0.0, False))

    def _describe(self, pack: Pack, number: int, weights: FloatArray) -> None:
        sentence = grammar.draw_sentence(self.rng, held_out=self.held_out)
        self._append(pack, number, [self._roles["user"]])
        place = self._append(
            pack, number, self.encode(dialogue.DESCRIBE.format(text=sentence.text))
        )
        pack.option_ends.append((place, sentence.attributes))
        self._reply(pack, number, dialogue.describe_attributes(sentence.attributes))

    def _name(self, pack: Pack, number: int, weights: FloatArray) -> None:
        sentence = grammar.draw_sentence(self.rng, held_out=self.held_out)
        noun = grammar.topics()[sentence.topic].noun
        self._append(
            pack, number, [self._roles["user"], *self.encode(dialogue.NAME.format(noun=noun))]
        )
        self._reply(pack, number, sentence.text)
