"""A small world with planted citizens: utilities known, answers exact, every call on record."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from assembly.deliberation.session import convene
from assembly.record.ledger import Ledger
from plenary.models.base import Choice, Conversation, Reply, Sampling, call_key
from plenary.preferences import FloatArray, IntArray


def mark_of(verb: str, conversation: Conversation) -> int:
    """Number of a call, carried in its answer's token count so that it shows up in the ledger."""
    return int(call_key("mark", verb, conversation)[:12], 16)


def options(conversation: Conversation) -> tuple[str, str]:
    """The outcomes under A and B."""
    lines = conversation[-1].content.splitlines()
    found = {line[7]: line[10:] for line in lines if line.startswith(("Option A: ", "Option B: "))}
    return found["A"], found["B"]


@dataclass
class Gate:
    """Tells that so many calls were made, lets `more` calls pass, and then none for ever."""

    told: Connection
    calls: int
    more: int = 0
    _told: bool = False

    async def passed(self, made: int) -> None:
        if made >= self.calls and not self._told:
            self._told = True
            self.told.send(made)
        if made >= self.calls + self.more:
            await asyncio.Event().wait()


@dataclass
class PlantedCitizens:
    """Answers from utilities[system][text]; each statement heard for an option adds `swing`."""

    utilities: dict[str, dict[str, float]]
    swing: float = 0.0
    log: Path | None = None
    delay: float = 0.0
    gate: Gate | None = None
    spoil: Callable[[Conversation], str | None] = lambda conversation: None
    name: str = "planted-test"
    supports_seed: bool = True
    exact_choice: bool = True
    seen: list[Conversation] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    async def _note(self, verb: str, conversations: Sequence[Conversation]) -> None:
        self.seen.extend(conversations)
        self.batches.append(len(conversations))
        if self.log is not None:
            with self.log.open("a") as file:
                file.writelines(f"{mark_of(verb, c)}\n" for c in conversations)
                file.flush()
                os.fsync(file.fileno())
        if self.gate is not None:
            await self.gate.passed(len(self.seen))
        await asyncio.sleep(self.delay)

    def _lead(self, conversation: Conversation) -> float:
        a, b = options(conversation)
        mine = self.utilities[conversation[0].content]
        text = conversation[-1].content
        return mine[a] - mine[b] + self.swing * (text.count("\nFor A: ") - text.count("\nFor B: "))

    def _choice(self, conversation: Conversation) -> Choice:
        failure = self.spoil(conversation)
        if failure is not None:
            return Choice((), None, 1, 0, failure)
        share = 1.0 / (1.0 + math.exp(-self._lead(conversation)))
        number = mark_of("choose", conversation)
        return Choice((share, 1.0 - share), 0.99, 1, 1, prompt_tokens=number)

    def _reply(self, conversation: Conversation) -> Reply:
        if self.spoil(conversation):
            return Reply(None, "refused")
        text = f"This option is right, says {conversation[0].content}."
        return Reply(text, prompt_tokens=mark_of("generate", conversation))

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        await self._note("generate", conversations)
        return [self._reply(c) for c in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        await self._note("choose", conversations)
        return [self._choice(c) for c in conversations]


@dataclass
class World:
    """C citizens, K outcomes, P pairs with planted utilities [C, K]."""

    systems: tuple[str, ...]
    weights: FloatArray
    texts: tuple[str, ...]
    pairs: IntArray
    utilities: FloatArray

    def backend(self, **settings: object) -> PlantedCitizens:
        table = {
            system: dict(zip(self.texts, row, strict=True))
            for system, row in zip(self.systems, self.utilities.tolist(), strict=True)
        }
        return PlantedCitizens(table, **settings)

    def hold(self, backend, folder: Path, settings, on_event=None, seed: int = 3, **more):
        """Hold the assembly in a folder and return its votes; a second call resumes."""
        with Ledger(folder / "ledger.sqlite") as ledger:
            return asyncio.run(
                convene(
                    backend,
                    self.systems,
                    self.weights,
                    self.texts,
                    self.pairs,
                    settings,
                    ledger,
                    folder / "checkpoints.sqlite",
                    seed,
                    on_event,
                    **more,
                )
            )


def make_world(citizens: int = 11, outcomes: int = 8, pairs: int = 9, seed: int = 1) -> World:
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(outcomes) for b in range(a + 1, outcomes)])
    chosen = rng.permuted(every[rng.permutation(len(every))[:pairs]], axis=1)
    return World(
        tuple(f"You are citizen number {c}." for c in range(citizens)),
        rng.uniform(0.3, 2.5, citizens),
        tuple(f"outcome {k} comes to pass" for k in range(outcomes)),
        chosen,
        rng.normal(0, 2, (citizens, outcomes)),
    )
