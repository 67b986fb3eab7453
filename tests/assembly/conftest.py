"""The small world of planted citizens that the assembly's tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.assemblies import World, make_world

from assembly.record.settings import AssemblySettings


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture(scope="session")
def world_of() -> Callable[..., World]:
    return make_world


@pytest.fixture
def small() -> AssemblySettings:
    """Settings with several tables and blocks in a small world."""
    return AssemblySettings(table_size=4, block=4)
