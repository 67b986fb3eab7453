"""The door to LangGraph: one thread a shard, ballot -> (declare -> speak) x rounds -> ballot.

A node handles a whole table x block in one model call; one superstep a turn costs a hundred times
as much (ecosystem.md section 2). The state holds numbers only, the ledger everything that was said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from assembly.ballots import AFTER, BEFORE
from assembly.seating import Shard
from assembly.turns import Room, cast_ballots, declare_sides, make_statements


class State(TypedDict):
    """Numbers of one shard: which it is, rounds to go, and how much was recorded."""

    table: int
    block: int
    rounds: int
    turn: int
    votes: int
    statements: int


class Update(TypedDict, total=False):
    """What a node changes of the state."""

    turn: int
    votes: int
    statements: int


Graph = CompiledStateGraph[State, Room, State, State]


def _shard(state: State) -> Shard:
    return Shard(state["table"], state["block"])


async def ballot_before(state: State, runtime: Runtime[Room]) -> Update:
    """Private ballot before anybody has spoken."""
    return {"votes": await cast_ballots(runtime.context, _shard(state), BEFORE)}


async def declare(state: State, runtime: Runtime[Room]) -> Update:
    """The round's speakers declare a side; the state does not change."""
    await declare_sides(runtime.context, _shard(state), state["turn"])
    return {}


async def speak(state: State, runtime: Runtime[Room]) -> Update:
    """The round's speakers give a reason; the round ends."""
    said = await make_statements(runtime.context, _shard(state), state["turn"])
    return {"turn": state["turn"] + 1, "statements": state["statements"] + said}


async def ballot_after(state: State, runtime: Runtime[Room]) -> Update:
    """Private ballot after the last round."""
    return {"votes": state["votes"] + await cast_ballots(runtime.context, _shard(state), AFTER)}


def _next(state: State) -> str:
    return "declare" if state["turn"] < state["rounds"] else "ballot_after"


def build(saver: AsyncSqliteSaver | None = None) -> Graph:
    """Compile the graph of one shard."""
    graph = StateGraph(State, Room)
    for node in (ballot_before, declare, speak, ballot_after):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "ballot_before")
    graph.add_conditional_edges("ballot_before", _next, ["declare", "ballot_after"])
    graph.add_edge("declare", "speak")
    graph.add_conditional_edges("speak", _next, ["declare", "ballot_after"])
    graph.add_edge("ballot_after", END)
    return graph.compile(checkpointer=saver)


class Table(NamedTuple):
    """The compiled graph and its checkpoint file."""

    graph: Graph
    saver: AsyncSqliteSaver

    async def run(self, room: Room, shard: Shard) -> None:
        """Carry one shard to its end, from its checkpoint where there is one.

        Whether a shard is finished is the ledger's word alone: a thread killed after its input
        checkpoint reports no next node (ecosystem.md 2.6), and a checkpoint may outlive lost votes.
        """
        name = f"{room.fingerprint}/{shard.table}/{shard.block}"
        thread = RunnableConfig(configurable={"thread_id": name})
        if await self.saver.aget_tuple(thread) is not None:
            await self.graph.ainvoke(None, thread, context=room, durability="sync")
            if room.complete(shard):
                return
            await self.saver.adelete_thread(name)
        start = State(
            table=shard.table,
            block=shard.block,
            rounds=room.settings.rounds,
            turn=0,
            votes=0,
            statements=0,
        )
        await self.graph.ainvoke(start, thread, context=room, durability="sync")


@asynccontextmanager
async def open_table(checkpoints: Path) -> AsyncIterator[Table]:
    """The graph over a checkpoint file; deleting the file between runs costs time only."""
    async with AsyncSqliteSaver.from_conn_string(str(checkpoints)) as saver:
        await saver.setup()
        # The saver commits after every task; with the default FULL each commit waits for the disk.
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield Table(build(saver), saver)
