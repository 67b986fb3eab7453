from collections import Counter

import pytest

from assembly.deliberation.context import CLAUSE, floor, older
from assembly.deliberation.prompts import MAX_STATEMENTS, MODERATOR
from assembly.deliberation.statements import MAX_CHARACTERS
from assembly.record.ballots import FAILED, INVALID, VALID
from assembly.record.ledger import Ledger, Spoken
from assembly.record.settings import AssemblySettings
from plenary.models.base import Reply


def said(citizen: int, turn: int = 0, state: int = VALID, side: int = 0, text: str = "x") -> Spoken:
    return Spoken(0, 0, turn, citizen, citizen, side, state, text)


def test_the_floor_goes_round_by_pair_and_round() -> None:
    members = tuple(range(6))
    spoken = Counter(s for pair in range(12) for s in floor(members, 2 * pair, 2, ()))
    assert set(spoken.values()) == {4}
    assert floor(members, 0, 2, ()) == (0, 1)
    assert floor(members, 2, 2, [said(0), said(1)]) == (2, 3)


def test_who_was_asked_least_speaks_next_then_who_was_heard_least() -> None:
    past = [said(0), said(1, state=FAILED), said(2)]
    assert floor((0, 1, 2, 3), 0, 2, past) == (3, 1)
    assert floor((7, 0, 1), 0, 1, past) == (0,)


def test_summaries_name_their_sources_and_keep_the_latest_of_equal_reasons() -> None:
    past = [said(0, 0, text="Same."), said(1, 1, side=1, text="Other."), said(2, 2, text="same.")]
    (first, second) = older(0, past)
    assert (first.side, first.sources, second.sources) == (0, "2.0.2", "1.0.1")


@pytest.mark.parametrize("mode", ["extract", "model"])
def test_beyond_the_bound_older_statements_are_summed_up_with_provenance(
    world, tmp_path, mode
) -> None:
    settings = AssemblySettings(rounds=5, table_size=4, block=9, summary=mode)
    backend = world.backend(swing=0.1)
    world.hold(backend, tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        gists, transcript = ledger.gists(), ledger.transcript()
    assert {g.mode for g in gists} == {mode}
    known = {(s.pair, s.side, f"{s.round}.{s.table}.{s.seat}"): s for s in transcript}
    for gist in gists:
        sources = [known[gist.pair, gist.side, at] for at in gist.sources.split()]
        assert sources
        if mode == "extract":
            assert gist.text.split("; ") == [s.text.rstrip(".")[:CLAUSE] for s in sources]
        assert len(gist.text) <= MAX_CHARACTERS
    shown = [c[-1].content for c in backend.seen]
    long = [text for text in shown if "Earlier, in short:" in text]
    assert long
    for text in long:
        assert text.count("\nFor ") <= MAX_STATEMENTS + 2
    if mode == "model":
        moderated = [c for c in backend.seen if c[0].content.startswith("You moderate")]
        assert len(moderated) == len(set(moderated)) > 0


def test_a_letter_in_a_summary_that_was_asked_for_without_letters_is_not_guessed(
    world, tmp_path
) -> None:
    backend = world.backend(swing=0.1)
    plain = backend.generate

    async def lettered(conversations, sampling):
        replies = await plain(conversations, sampling)
        return [
            Reply("Option A saves lives.") if c[0].content == MODERATOR else reply
            for c, reply in zip(conversations, replies, strict=True)
        ]

    backend.generate = lettered
    settings = AssemblySettings(rounds=5, table_size=4, block=9, summary="model")
    world.hold(backend, tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        gists = ledger.gists()
    assert {(g.state, g.text) for g in gists} == {(INVALID, "")}
