"""Probes (placebos, manipulation checks), where one is added: no or other persona, false tally."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from assembly.deliberation.prompts import NO_PERSONA
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard
from assembly.record.ballots import BEFORE, VALID, VoteRow
from assembly.record.settings import ProbeName
from plenary.preferences import IntArray
from plenary.seeding import generator

Systems = tuple[str, ...]
Tallies = Mapping[tuple[int, int], tuple[int, int]]


def own(systems: Systems, seed: int) -> Systems:
    """Every citizen keeps their own persona."""
    return systems


def nobody(systems: Systems, seed: int) -> Systems:
    """All citizens are given the same sentence."""
    return (NO_PERSONA,) * len(systems)


def shuffled(systems: Systems, seed: int) -> Systems:
    """Every citizen is given another citizen's persona; seats and weights stay."""
    order = generator(seed, "assembly", "shuffled persona").permutation(len(systems))
    given = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return tuple(systems[given[c]] for c in range(len(systems)))


def claimed_sides(pairs: int, seed: int) -> IntArray:
    """Outcome [P] (0 first, 1 second) for which `planted_majority` claims a majority."""
    return generator(seed, "assembly", "false majority").integers(2, size=pairs)


def planted_majority(room: Room, shard: Shard) -> Tallies:
    """Four in five of the others are said to prefer one outcome, drawn for each pair."""
    drawn = claimed_sides(len(room.pairs), room.seed)
    claims: dict[tuple[int, int], tuple[int, int]] = {}
    for table in room.seating.tables_in(shard.group):
        others = len(room.seating.tables[table]) - 1
        few = others // 5
        for pair in room.seating.positions(shard):
            tally = (few, others - few) if drawn[pair] else (others - few, few)
            claims |= {(c, pair): tally for c in room.seating.tables[table]}
    return claims


def true_tally(room: Room, shard: Shard) -> Tallies:
    """How the others at the first table voted before; ties and unusable ballots do not count."""
    pairs, members = room.seating.positions(shard), room.seating.members(shard)
    sides = _sides(room.ledger.ballots(pairs, members, BEFORE))
    claims: dict[tuple[int, int], tuple[int, int]] = {}
    for table in room.seating.tables_in(shard.group):
        seated = room.seating.tables[table]
        for pair in pairs:
            for citizen in seated:
                others = [sides.get((c, pair)) for c in seated if c != citizen]
                claims[citizen, pair] = (others.count(0), others.count(1))
    return claims


def _sides(rows: Sequence[VoteRow]) -> dict[tuple[int, int], int]:
    """Outcome that each citizen prefers on a pair over both orders, if any."""
    leads: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for vote in rows:
        if vote.state == VALID:
            leads[vote.citizen, vote.pair].append((vote.share_first - 0.5) * (1 - 2 * vote.order))
    return {at: int(sum(two) < 0) for at, two in leads.items() if len(two) == 2 and sum(two) != 0}


class Probe(NamedTuple):
    """personas: the personas given to citizens. tally: votes shown before the last ballot."""

    personas: Callable[[Systems, int], Systems]
    tally: Callable[[Room, Shard], Tallies] | None = None


PROBES: dict[ProbeName, Probe] = {
    "none": Probe(own),
    "false-majority": Probe(own, planted_majority),
    "vote-reveal": Probe(own, true_tally),
    "no-persona": Probe(nobody),
    "shuffled-persona": Probe(shuffled),
}
