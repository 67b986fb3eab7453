from itertools import pairwise

import numpy as np
import pytest

from assembly.record.ballots import AFTER, BEFORE
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings


def kind(conversation) -> str:
    text = conversation[1].content
    if "Give one short reason" in text:
        return "speak"
    return "declare" if "You will speak at your table" in text else "ballot"


def test_ballots_are_private_and_statements_stay_at_the_table(world, tmp_path, small) -> None:
    backend = world.backend(swing=0.5)
    world.hold(backend, tmp_path, small)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        spoken = ledger.transcript()
    said_at = {s.text: s.table for s in spoken}
    tables = {s.citizen: s.table for s in spoken}
    for conversation in backend.seen:
        assert [m.role for m in conversation] == ["system", "user"]
        assert conversation[0].content in world.systems
        head, *lines = conversation[1].content.splitlines()
        heard = [line for line in lines if line.startswith("For ")]
        if not heard:
            assert "At your table" not in conversation[1].content
            continue
        assert head == "At your table people said:"
        own = tables.get(world.systems.index(conversation[0].content))
        for line in heard:
            text = line.split(": ", 1)[1]
            assert own is None or said_at[text] == own


def test_a_prompt_holds_only_persona_outcomes_and_what_was_said(world, tmp_path, small) -> None:
    backend = world.backend()
    world.hold(backend, tmp_path, small.model_copy(update={"rounds": 0}))
    texts = {c[1].content for c in backend.seen}
    assert len(texts) == 2 * len(world.pairs)
    assert all(text.startswith("Here are two possible outcomes.") for text in texts)


def test_everybody_votes_on_everything_four_times(world, tmp_path, small) -> None:
    votes = world.hold(world.backend(), tmp_path, small)
    keys = np.stack([votes.pair, votes.citizen, votes.phase, votes.order])
    assert len(np.unique(keys, axis=1).T) == len(votes) == 4 * 11 * 9


def test_speakers_rotate_and_speak_for_the_side_they_declared(world, tmp_path) -> None:
    settings = AssemblySettings(rounds=2, table_size=4, speakers=2, block=4)
    world.hold(world.backend(), tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        spoken = ledger.transcript()
    assert len(spoken) == 9 * 3 * 2 * 2
    for said in spoken:
        first, second = world.utilities[said.citizen][world.pairs[said.pair]]
        assert said.side == (0 if first > second else 1)
        assert said.text.startswith("This option is right")


def test_later_rounds_hear_the_earlier_ones(world, tmp_path) -> None:
    backend = world.backend()
    world.hold(backend, tmp_path, AssemblySettings(rounds=3, table_size=4, speakers=2, block=9))
    lines = {"declare": set(), "speak": set(), "ballot": set()}
    for conversation in backend.seen:
        lines[kind(conversation)].add(conversation[1].content.count("\nFor "))
    assert lines == {"declare": {0, 2, 4}, "speak": {0, 2, 4}, "ballot": {0, 6}}


def test_one_call_a_node_with_a_citizens_conversations_together(world, tmp_path, small) -> None:
    backend = world.backend()
    world.hold(backend, tmp_path, small.model_copy(update={"concurrency": 1}))
    assert len(backend.batches) == 3 * 3 * 4
    start = 0
    for size in backend.batches:
        systems = [c[0].content for c in backend.seen[start : start + size]]
        changes = sum(a != b for a, b in pairwise(systems))
        assert changes == len(set(systems)) - 1
        start += size


def test_argument_moves_citizens_the_way_it_points(world, tmp_path, small) -> None:
    votes = world.hold(world.backend(swing=1.0), tmp_path, small)
    still = world.hold(world.backend(swing=0.0), _folder(tmp_path, "still"), small)
    before, after = votes.phase == BEFORE, votes.phase == AFTER
    assert np.abs(votes.share_first[before] - votes.share_first[after]).max() > 0.1
    np.testing.assert_array_equal(
        still.share_first[still.phase == BEFORE], still.share_first[still.phase == AFTER]
    )


def _folder(parent, name):
    (parent / name).mkdir()
    return parent / name


def test_declared_positions_are_counterbalanced(world, tmp_path) -> None:
    world.hold(world.backend(), tmp_path, AssemblySettings(table_size=4, speakers=2, block=9))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        orders = [d.order for d in ledger.declarations(range(3), 0, range(9))]
    assert 0.4 < np.mean(orders) < 0.6


@pytest.mark.parametrize(
    ("failure", "state"), [("refused", "refused"), ("invalid", "invalid"), ("timeout", "failed")]
)
def test_answers_that_are_none_are_counted_and_shown_to_nobody(
    world, tmp_path, small, failure, state
) -> None:
    broken = world.systems[4]
    backend = world.backend(spoil=lambda c: failure if c[0].content == broken else None)
    votes = world.hold(backend, tmp_path, small)
    for phase in (BEFORE, AFTER):
        assert votes.counted(phase)[state] == 2 * 9
        assert votes.counted(phase)["valid"] == 2 * 9 * 10
    assert np.isnan(votes.share_first[votes.citizen == 4]).all()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        silent = [s for s in ledger.transcript() if s.citizen == 4]
    assert silent
    assert {(s.side, s.text) for s in silent} == {(None, "")}
    assert not any("citizen number 4" in c[1].content for c in backend.seen)


def test_a_speaker_who_says_nothing_is_recorded_as_failed(world, tmp_path, small) -> None:
    backend = world.backend(spoil=lambda c: "refused" if kind(c) == "speak" else None)
    votes = world.hold(backend, tmp_path, small)
    assert votes.counted(AFTER)["valid"] == 2 * 9 * 11
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert {(s.state, s.text) for s in ledger.transcript()} == {(1, "")}
    assert not any("At your table" in c[1].content for c in backend.seen)
