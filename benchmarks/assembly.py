"""Does holding an assembly cost next to nothing beside the model? With a model that takes no time.

Baselines on the same work: one superstep a turn, one Send a turn, both with the same checkpointer.
"""

from __future__ import annotations

import sys
from pathlib import Path

# As a script this file's folder comes first on the path and its own name hides the package.
sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from operator import add
from typing import Annotated, NamedTuple, TypedDict

import numpy as np
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from assembly.deliberation.session import convene
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from benchmarks.targets import Target, main
from plenary.models.base import ChatBackend, Choice, Conversation, Message, Reply, Sampling
from plenary.preferences import IntArray

CITIZENS, OUTCOMES, BLOCK = 21, 200, 10
TURNS_A_PAIR = CITIZENS * 4 + 3 * 2 * 2 * 2


class Instant(ChatBackend):
    """Answers at once."""

    name, supports_seed, exact_choice = "instant", True, True

    def __init__(self) -> None:
        self.turns = 0

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """The same words to everything."""
        self.turns += len(conversations)
        return [Reply("This option is right for me.")] * len(conversations)

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """The same choice of everything."""
        self.turns += len(conversations)
        return [Choice((0.6, 0.4), 0.99, 1, 1)] * len(conversations)


class Cost(NamedTuple):
    """Milliseconds of CPU and bytes of checkpoints a turn; MB that the process grew by."""

    turns: int
    cpu: float
    checkpoint: float
    memory: float


def agenda(pairs: int) -> IntArray:
    """Distinct pairs of outcomes."""
    rng = np.random.default_rng(0)
    first, second = np.triu_indices(OUTCOMES, 1)
    chosen = rng.permutation(len(first))[:pairs]
    return np.stack([first[chosen], second[chosen]], axis=1)


def memory() -> float:
    """Largest resident size so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def hold(turns: int) -> Cost:
    """An assembly of three tables with two rounds, as many pairs as make up the turns."""
    pairs = agenda(max(1, round(turns / TURNS_A_PAIR)))
    backend, before, start = Instant(), memory(), 0.0
    settings = AssemblySettings(table_size=7, rounds=2, speakers=2, block=BLOCK)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger(folder / "ledger.sqlite") as ledger:
            start = time.process_time()
            asyncio.run(
                convene(
                    backend,
                    [f"You are citizen {c} of this town." for c in range(CITIZENS)],
                    np.ones(CITIZENS),
                    [f"outcome {k} comes to pass" for k in range(OUTCOMES)],
                    pairs,
                    settings,
                    ledger,
                    folder / "checkpoints.sqlite",
                    0,
                )
            )
            asked = ledger.timing().turns
        spent = time.process_time() - start
        size = (folder / "checkpoints.sqlite").stat().st_size
    return Cost(asked, 1e3 * spent / asked, size / asked, memory() - before)


class Talk(TypedDict):
    """State of the baselines."""

    turn: int
    turns: int
    said: Annotated[list[int], add]


async def one_turn(state: Talk) -> dict[str, object]:
    """One call of the model, its number kept in the state."""
    conversation = (Message("user", f"turn {state['turn']}"),)
    await Instant().choose([conversation], ("A", "B"))
    return {"turn": state["turn"] + 1, "said": [state["turn"]]}


async def one_of_many(state: Talk) -> dict[str, object]:
    """The same, as one Send among all."""
    return {"said": (await one_turn(state))["said"]}


def baseline(turns: int, *, fan_out: bool) -> Cost:
    """One superstep a turn, or one Send a turn in one superstep; no ledger, no cache."""
    graph = StateGraph(Talk)
    if fan_out:
        graph.add_node("turn", one_of_many)
        graph.add_conditional_edges(
            START,
            lambda state: [
                Send("turn", Talk(turn=k, turns=turns, said=[])) for k in range(state["turns"])
            ],
            ["turn"],
        )
        graph.add_edge("turn", END)
    else:
        graph.add_node("turn", one_turn)
        graph.add_edge(START, "turn")
        graph.add_conditional_edges(
            "turn", lambda state: "turn" if state["turn"] < state["turns"] else END, ["turn", END]
        )

    async def run(path: Path) -> None:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            await saver.setup()
            await saver.conn.execute("PRAGMA synchronous=NORMAL")
            limits = RunnableConfig(
                configurable={"thread_id": "all"}, recursion_limit=turns + 5, max_concurrency=64
            )
            compiled = graph.compile(checkpointer=saver)
            await compiled.ainvoke(Talk(turn=0, turns=turns, said=[]), limits, durability="sync")

    before = memory()
    with tempfile.TemporaryDirectory() as name:
        path, start = Path(name) / "checkpoints.sqlite", time.process_time()
        asyncio.run(run(path))
        spent = time.process_time() - start
        size = path.stat().st_size
    return Cost(turns, 1e3 * spent / turns, size / turns, memory() - before)


def measure(quick: bool) -> list[Target]:
    """Costs a turn from a thousand turns up, and of the two baselines on a thousand."""
    hold(500)
    few = hold(1_000)
    many = [hold(n) for n in ((10_000, 30_000) if quick else (10_000, 100_000))]
    costs, last = [few, *many], many[-1]
    supersteps, sends = baseline(1_000, fan_out=False), baseline(1_000, fan_out=True)
    worst = max(c.cpu for c in costs)
    return [
        *(Target(f"CPU a turn, {c.turns:,} turns, ms", c.cpu, 0.5, at_least=False) for c in costs),
        Target(
            f"CPU a turn at {last.turns:,} / at {few.turns:,} turns",
            last.cpu / few.cpu,
            1.5,
            at_least=False,
            ratio=True,
        ),
        Target("checkpoint a turn, bytes", max(c.checkpoint for c in many), 100.0, at_least=False),
        Target(f"memory growth, {last.turns:,} turns, MB", last.memory, 100.0, at_least=False),
        Target(
            "one superstep a turn: times our CPU, no ledger",
            supersteps.cpu / worst,
            1.0,
            ratio=True,
        ),
        Target("one Send a turn: times our CPU, no ledger", sends.cpu / worst, 1.0, ratio=True),
        Target(
            "one superstep a turn: times our checkpoint",
            supersteps.checkpoint / last.checkpoint,
            1.0,
            ratio=True,
        ),
    ]


if __name__ == "__main__":
    main(__doc__, measure)
