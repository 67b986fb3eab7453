"""The LangGraph graph of one group's session: ballot -> (declare -> speak) x rounds -> ballot.

The door to LangGraph; each shard is one thread. A node handles a whole group x block in one model
call; one superstep per turn costs a hundred times as much. The state holds only numbers, the ledger
everything that was said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol, TypedDict

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from assembly.deliberation.group_statement import CRITICISM, DRAFT, REVISED, TABLE, write
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard
from assembly.deliberation.turns import cast_ballots, declare_sides, make_statements
from assembly.record.ballots import AFTER, BEFORE, FOLLOW_UP


class ShardState(TypedDict):
    """Numbers of one shard: which one it is, what it has to hold, and how much was recorded."""

    group: int
    block: int
    rounds: int
    plenary: bool
    follow_up: bool
    turn: int
    votes: int
    statements: int


class Update(TypedDict, total=False):
    """What a node changes of the state."""

    turn: int
    votes: int
    statements: int


class Recorded(TypedDict):
    """What a shard passes on: its votes."""

    votes: int


class Assembly(TypedDict):
    """State of the whole assembly: votes cast in this run, over groups, and votes in the ledger."""

    votes: Annotated[int, add]
    recorded: int


Graph = CompiledStateGraph[ShardState, Room, ShardState, Recorded]
AssemblyGraph = CompiledStateGraph[Assembly, None, Assembly, Assembly]
Node = Callable[[ShardState, Runtime[Room]], Awaitable[Update]]


def _shard(state: ShardState) -> Shard:
    return Shard(state["group"], state["block"])


async def ballot_before(state: ShardState, runtime: Runtime[Room]) -> Update:
    """Private ballot before anybody has spoken."""
    return {"votes": await cast_ballots(runtime.context, _shard(state), BEFORE)}


async def declare(state: ShardState, runtime: Runtime[Room]) -> Update:
    """The round's speakers declare a side; the state does not change."""
    await declare_sides(runtime.context, _shard(state), state["turn"])
    return {}


async def speak(state: ShardState, runtime: Runtime[Room]) -> Update:
    """The round's speakers give a reason; the round ends."""
    said = await make_statements(runtime.context, _shard(state), state["turn"])
    return {"turn": state["turn"] + 1, "statements": state["statements"] + said}


async def table_statements(state: ShardState, runtime: Runtime[Room]) -> Update:
    """Each table's statement, the first step of the plenary."""
    return await _written(state, runtime, TABLE)


async def group_draft(state: ShardState, runtime: Runtime[Room]) -> Update:
    """The group's draft from its tables' statements."""
    return await _written(state, runtime, DRAFT)


async def critique(state: ShardState, runtime: Runtime[Room]) -> Update:
    """A citizen of each table criticises the draft."""
    return await _written(state, runtime, CRITICISM)


async def revise(state: ShardState, runtime: Runtime[Room]) -> Update:
    """The draft is revised."""
    return await _written(state, runtime, REVISED)


async def _written(state: ShardState, runtime: Runtime[Room], step: int) -> Update:
    said = await write(runtime.context, _shard(state), step)
    return {"statements": state["statements"] + said}


async def ballot_after(state: ShardState, runtime: Runtime[Room]) -> Update:
    """Private ballot after the last round."""
    return {"votes": state["votes"] + await cast_ballots(runtime.context, _shard(state), AFTER)}


async def follow_up(state: ShardState, runtime: Runtime[Room]) -> Update:
    """Private ballot with only the gist of what was heard."""
    cast = await cast_ballots(runtime.context, _shard(state), FOLLOW_UP)
    return {"votes": state["votes"] + cast}


def _next(state: ShardState) -> str:
    if state["turn"] < state["rounds"]:
        return "declare"
    return "table_statements" if state["plenary"] else "ballot_after"


def _last(state: ShardState) -> str:
    return "follow_up" if state["follow_up"] else END


_NODES = (
    *(ballot_before, declare, speak, table_statements, group_draft, critique, revise),
    *(ballot_after, follow_up),
)
_AFTER_ROUND = ["declare", "table_statements", "ballot_after"]


def build(saver: AsyncSqliteSaver | None = None, room: Room | None = None) -> Graph:
    """Compile the graph of one shard; with `room` it needs no context at its call."""
    graph = StateGraph(ShardState, Room, output_schema=Recorded)
    for node in _NODES:
        graph.add_node(node.__name__, node if room is None else _within(room, node))
    graph.add_edge(START, "ballot_before")
    graph.add_conditional_edges("ballot_before", _next, _AFTER_ROUND)
    graph.add_edge("declare", "speak")
    graph.add_conditional_edges("speak", _next, _AFTER_ROUND)
    steps = ("table_statements", "group_draft", "critique", "revise", "ballot_after")
    for one, two in pairwise(steps):
        graph.add_edge(one, two)
    graph.add_conditional_edges("ballot_after", _last, ["follow_up", END])
    graph.add_edge("follow_up", END)
    return graph.compile(checkpointer=saver)


class _Bound(Protocol):
    async def __call__(self, state: ShardState) -> Update: ...


def _within(room: Room, node: Node) -> _Bound:
    async def bound(state: ShardState) -> Update:
        return await node(state, Runtime(context=room))

    return bound


def build_assembly(room: Room) -> AssemblyGraph:
    """The whole assembly as one graph with a subgraph per group, for Studio and small sessions.

    `assembly.deliberation.session.convene` runs the same shards as threads of their own: one
    superstep over hundreds of Sends resumes badly.
    """

    def seat(state: Assembly) -> dict[str, int]:
        """Start with no votes."""
        return {"votes": 0}

    def groups(state: Assembly) -> list[Send] | str:
        waiting = [s for s in room.seating.shards() if not room.complete(s)]
        return [Send("group", opening(room, shard)) for shard in waiting] or "count"

    def count(state: Assembly) -> dict[str, int]:
        """Count the votes in the ledger, whichever run recorded them."""
        return {"recorded": room.ledger.vote_count()}

    graph = StateGraph(Assembly)
    graph.add_node("seat", seat)
    graph.add_node("group", build(room=room))
    graph.add_node("count", count)
    graph.add_edge(START, "seat")
    graph.add_conditional_edges("seat", groups, ["group", "count"])
    graph.add_edge("group", "count")
    graph.add_edge("count", END)
    return graph.compile()


def opening(room: Room, shard: Shard) -> ShardState:
    """The state in which a shard begins."""
    return ShardState(
        group=shard.group,
        block=shard.block,
        rounds=room.rounds,
        plenary=room.holds_plenary,
        follow_up=room.settings.follow_up,
        turn=0,
        votes=0,
        statements=0,
    )


class CompiledGraph(NamedTuple):
    """The compiled graph and its checkpoint file."""

    graph: Graph
    saver: AsyncSqliteSaver

    async def run(self, room: Room, shard: Shard) -> None:
        """Carry one shard to its end, from its checkpoint where there is one.

        Only the ledger decides whether a shard is finished: a thread killed after its input
        checkpoint reports no next node, and a checkpoint may outlive lost votes.
        """
        name = f"{room.fingerprint}/{shard.group}/{shard.block}"
        thread = RunnableConfig(configurable={"thread_id": name})
        durability = room.settings.durability
        if await self.saver.aget_tuple(thread) is not None:
            await self.graph.ainvoke(None, thread, context=room, durability=durability)
            if room.complete(shard):
                return
            await self.saver.adelete_thread(name)
        start = opening(room, shard)
        await self.graph.ainvoke(start, thread, context=room, durability=durability)


@asynccontextmanager
async def open_table(checkpoints: Path) -> AsyncIterator[CompiledGraph]:
    """The graph over a checkpoint file; deleting the file between runs only costs time."""
    # A run that was stopped in this process may still be writing and keep the file locked a while.
    async with aiosqlite.connect(checkpoints, timeout=60) as connection:
        saver = AsyncSqliteSaver(connection)
        # A checkpoint holds only numbers: a file that names a class to load must not load it.
        saver.serde = JsonPlusSerializer(allowed_msgpack_modules=None)
        await saver.setup()
        # The saver commits after every task; with the default FULL each commit waits for the disk.
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield CompiledGraph(build(saver), saver)
