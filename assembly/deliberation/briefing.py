"""The briefing: balanced arguments for both sides of a pair, shown after the first ballot.

Everybody gets the same. A pair has as many arguments for one side as for the other, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assembly.deliberation.context import MAX_ARGUMENTS, state_of
from assembly.deliberation.prompts import (
    ADVOCATE,
    MODERATOR,
    REVIEW,
    REVIEWER,
    ShownPair,
    Statement,
    on_pair,
    told,
)
from assembly.deliberation.statements import clean
from assembly.record.ballots import INVALID, VALID
from assembly.record.ledger import Argument, Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import ConfigError
from plenary.models.base import ChatBackend, Choice, Sampling, check_replies
from plenary.preferences import IntArray
from plenary.prompt_templates import LABELS
from plenary.seeding import derived_seed
from plenary.untrusted import read_file

Given = Mapping[int, tuple[Statement, ...]]


class PairBriefing(BaseModel):
    """Arguments on one pair; the outcomes in either order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str = Field(description="text of an outcome, as in the catalogue")
    second: str = Field(description="text of the other outcome")
    for_first: tuple[str, ...] = Field(
        min_length=1, max_length=MAX_ARGUMENTS, description="arguments for the first, one sentence"
    )
    for_second: tuple[str, ...] = Field(
        min_length=1, max_length=MAX_ARGUMENTS, description="arguments for the second"
    )

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        one, two = len(self.for_first), len(self.for_second)
        if one != two:
            raise ValueError(f"{one} arguments for the first, {two} for the second; balance them")
        return self

    def said(self, *, swapped: bool) -> tuple[Statement, ...]:
        """The arguments for both sides in turn, cleaned as a citizen's statement would be."""
        return tuple(
            Statement(side ^ swapped, clean(text, LABELS[side]))
            for both in zip(self.for_first, self.for_second, strict=True)
            for side, text in enumerate(both)
        )


class Briefing(BaseModel):
    """A file of arguments; pairs without an entry are discussed without a briefing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: tuple[PairBriefing, ...] = Field(description="one entry per pair")

    def given(self, texts: Sequence[str], pairs: IntArray) -> Given:
        """Arguments by pair position; ConfigError for an outcome that is not on the agenda."""
        at = {(texts[a], texts[b]): p for p, (a, b) in enumerate(pairs.tolist())}
        given: dict[int, tuple[Statement, ...]] = {}
        for entry in self.pairs:
            names, turned = (entry.first, entry.second), (entry.second, entry.first)
            if names not in at and turned not in at:
                raise ConfigError(f"the briefing's pair {names!r} is not on the agenda; remove it")
            swapped = names not in at
            given[at[turned if swapped else names]] = entry.said(swapped=swapped)
        return given


def read_briefing(path: Path) -> Briefing:
    """Read a YAML or JSON file; ConfigError names what is wrong in it."""
    return read_file(Briefing, path, "briefing", ConfigError)


async def generate_briefing(
    backend: ChatBackend,
    ledger: Ledger,
    texts: Sequence[str],
    pairs: IntArray,
    settings: AssemblySettings,
    seed: int,
) -> Given:
    """One argument per side, used if the reviewers of both sides accept it; recorded ones stay.

    A pair is briefed only if both its arguments are accepted; rejected ones are in the ledger.
    """
    held = {(a.pair, a.side) for a in ledger.arguments()}
    for start in range(0, len(pairs), settings.block):
        block = [
            p for p in range(start, min(start + settings.block, len(pairs))) if (p, 0) not in held
        ]
        if block:
            ledger.add_arguments(await _arguments(backend, texts, pairs, block, settings, seed))
    kept: dict[int, list[Statement]] = {}
    for a in ledger.arguments():
        if a.state == VALID:
            kept.setdefault(a.pair, []).append(Statement(a.side, a.text))
    return {pair: tuple(said) for pair, said in kept.items() if len(said) == 2}


async def _arguments(
    backend: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    block: Sequence[int],
    settings: AssemblySettings,
    seed: int,
) -> list[Argument]:
    """Arguments of a block with the verdicts of their reviewers."""
    slots = [(p, side) for p in block for side in (0, 1)]
    words = [(texts[int(first)], texts[int(second)]) for first, second in pairs]
    faces = [ShownPair(*words[p], p % 2) for p, _ in slots]
    prompts = [
        told(MODERATOR, on_pair(ADVOCATE, shown, letter=shown.letter(side)))
        for (_, side), shown in zip(slots, faces, strict=True)
    ]
    sampling = Sampling(0.0, 2 * settings.statement_tokens, derived_seed(seed, "briefing"))
    replies = await backend.generate(prompts, sampling)
    check_replies(backend.name, len(prompts), len(replies))
    cleaned = [
        clean(reply.text or "", shown.letter(side))
        for (_, side), shown, reply in zip(slots, faces, replies, strict=True)
    ]
    accepted = await _reviewed(backend, [s[1] for s in slots], faces, cleaned, settings, seed)
    return [
        Argument(p, side, state_of(text, reply) if not text or taken else INVALID, text)
        for (p, side), text, reply, taken in zip(slots, cleaned, replies, accepted, strict=True)
    ]


async def _reviewed(
    backend: ChatBackend,
    sides: Sequence[int],
    faces: Sequence[ShownPair],
    cleaned: Sequence[str],
    settings: AssemblySettings,
    seed: int,
) -> list[bool]:
    """Whether a reviewer of each side accepts an argument; an unusable answer rejects it."""
    prompts = [
        told(
            REVIEWER.format(outcome=outcome),
            REVIEW.format(
                first=shown.first, second=shown.second, place=("first", "second")[side], text=text
            ),
        )
        for side, shown, text in zip(sides, faces, cleaned, strict=True)
        for outcome in (shown.first, shown.second)
    ]
    choices = await backend.choose(
        prompts, LABELS, samples=settings.samples, seed=derived_seed(seed, "review")
    )
    check_replies(backend.name, len(prompts), len(choices))
    taken = [_yes(choice) for choice in choices]
    return [one and two for one, two in zip(taken[::2], taken[1::2], strict=True)]


def _yes(choice: Choice) -> bool:
    return choice.valid > 0 and choice.shares[0] > 0.5
