"""The demonstration graph for LangGraph Studio (`langgraph dev`): planted citizens, no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assembly.deliberation.graph import AssemblyGraph, build_assembly
from assembly.deliberation.room import Room
from assembly.deliberation.seating import seat
from assembly.record.ledger import Ledger, RecordedBackend
from assembly.record.settings import AssemblySettings
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.seeding import generator

_OUTCOMES = (
    "The river is clean",
    "The mill stays open",
    "The library opens on Sundays",
    "The bus runs every ten minutes",
)
_SEED = 0


def make_graph() -> AssemblyGraph:
    """Twelve citizens with random utilities at three tables, three pairs, ledger in memory."""
    drawn = generator(_SEED, "studio").normal(size=(12, len(_OUTCOMES)))
    systems = tuple(f"You are citizen {number} of the planted town." for number in range(12))
    utilities = {
        system: dict(zip(_OUTCOMES, row, strict=True))
        for system, row in zip(systems, drawn.tolist(), strict=True)
    }
    world = PlantedWorld.model_validate(
        {"utilities": utilities[systems[0]], "personas": utilities, "swing": 0.3}
    )
    settings = AssemblySettings(table_size=4, rounds=2, block=3, plenary=True, follow_up=True)
    pairs = np.array([[0, 1], [2, 3], [0, 2]])
    ledger = Ledger(Path(":memory:"))
    return build_assembly(
        Room(
            RecordedBackend(PlantedBackend(world), ledger),
            ledger,
            settings,
            seat(len(systems), len(pairs), settings, _SEED),
            systems,
            _OUTCOMES,
            pairs,
            _SEED,
            "studio",
            lambda kind, count, invalid: None,
            {},
        )
    )
