"""The room: everything a session's steps share (model, ledger, personas, pairs, settings)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from assembly.deliberation.conditions import CONDITIONS, Condition
from assembly.deliberation.prompts import ShownPair, Statement
from assembly.deliberation.seating import Seating, Shard
from assembly.record.ballots import AFTER, BEFORE, FOLLOW_UP
from assembly.record.ledger import Ledger, RecordedBackend
from assembly.record.progress import EventKind
from assembly.record.settings import AssemblySettings
from plenary.models.base import copies
from plenary.preferences import IntArray


@dataclass(frozen=True, slots=True)
class Room:
    """Never part of the graph's state.

    systems [C]: persona texts, as the probe left them. texts [K]: outcome sentences. pairs [P, 2].
    briefing: pair -> arguments that everybody is given; pairs without any are left out.
    """

    backend: RecordedBackend
    ledger: Ledger
    settings: AssemblySettings
    seating: Seating
    systems: tuple[str, ...]
    texts: tuple[str, ...]
    pairs: IntArray
    seed: int
    fingerprint: str
    notify: Callable[[EventKind, int, int], None]
    briefing: Mapping[int, tuple[Statement, ...]]

    @property
    def condition(self) -> Condition:
        """The condition: what happens between the ballots."""
        return CONDITIONS[self.settings.condition]

    @property
    def draws(self) -> list[str]:
        """Key [C] that each citizen's sampled answers are drawn under.

        Citizens with the same persona, or with another citizen's, still draw their own answers.
        """
        stead = "shuffled " if self.settings.probe == "shuffled-persona" else ""
        return [f"{stead}{draw}" for draw in copies(self.systems)]

    @property
    def rounds(self) -> int:
        """Rounds that this condition holds."""
        return self.settings.rounds if self.condition.talks else 0

    @property
    def holds_plenary(self) -> bool:
        """Whether tables write a statement together; not where citizens think alone."""
        return self.settings.plenary and self.condition.talks and not self.condition.alone

    @property
    def phases(self) -> tuple[int, ...]:
        """Codes of the ballots that are held."""
        return (BEFORE, AFTER, FOLLOW_UP) if self.settings.follow_up else (BEFORE, AFTER)

    def shown(self, pair: int, order: int) -> ShownPair:
        """A pair's two sentences in a presentation order."""
        first, second = self.pairs[pair]
        return ShownPair(self.texts[first], self.texts[second], order)

    def begun(self, shard: Shard) -> bool:
        """Whether the ledger holds any vote of the shard."""
        return self._held(shard) > 0

    def complete(self, shard: Shard) -> bool:
        """Whether the ledger holds every vote of the shard: two per ballot, citizen and pair."""
        members, positions = self.seating.members(shard), self.seating.positions(shard)
        return self._held(shard) == 2 * len(self.phases) * len(members) * len(positions)

    def _held(self, shard: Shard) -> int:
        return self.ledger.votes_held(self.seating.positions(shard), self.seating.members(shard))
