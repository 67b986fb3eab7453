"""The optional phases and what each lets a citizen see."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from assembly.deliberation.briefing import PairBriefing
from assembly.deliberation.context import prompt_limit
from assembly.deliberation.group_statement import CRITICISM, DRAFT, REVISED, TABLE
from assembly.deliberation.probes import claimed_sides, shuffled
from assembly.deliberation.prompts import NO_PERSONA
from assembly.deliberation.seating import seat
from assembly.record.ballots import ABSTAINED, AFTER, FOLLOW_UP, INVALID, VALID, citizen_shares
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import ConfigError
from plenary.models.base import Choice
from plenary.models.wrappers.cache import MemoryStore


def anybody(world, *, accept: bool = True, speech: str | None = None, **settings):
    """Planted citizens among whom reviewers answer too; `speech` is what everybody says."""

    class Anybody(type(world.backend())):
        def _choice(self, conversation):
            if conversation[0].content in self.utilities:
                return super()._choice(conversation)
            return Choice((0.9, 0.1) if accept else (0.1, 0.9), 0.99, 1, 1)

        def _reply(self, conversation):
            reply = super()._reply(conversation)
            return replace(reply, text=speech) if speech and reply.text else reply

    return Anybody(world.backend().utilities, **settings)


def ballots(backend) -> list[str]:
    return [c[1].content for c in backend.seen if "Which one would you prefer" in c[1].content]


def test_rotating_citizens_carry_what_they_heard_at_every_table(world_of, tmp_path) -> None:
    world = world_of(citizens=16)
    settings = AssemblySettings(table_size=4, tables_per_group=4, rounds=3, speakers=2, block=5)
    backend = world.backend()
    votes = world.hold(backend, tmp_path, settings)
    assert len(votes) == 4 * 16 * 9
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        spoken = ledger.transcript()
    seating = seat(16, 9, settings, seed=3)
    for citizen in range(16):
        near = {(s.pair, s.text) for s in spoken if citizen in seating.seated(s.round)[s.table]}
        seen = [c for c in backend.seen if c[0].content == world.systems[citizen]]
        heard = {
            line.split(": ", 1)[1]
            for c in seen
            for line in c[1].content.splitlines()
            if line.startswith("For ")
        }
        assert heard == {text for _, text in near}
    assert max(text.count("\nFor ") for text in ballots(backend)) == 6


def test_a_group_of_two_gives_the_same_votes_whatever_the_concurrency_and_block(
    world_of, tmp_path
) -> None:
    world, runs = world_of(citizens=16), []
    settings = AssemblySettings(table_size=4, tables_per_group=2, rounds=2, block=5)
    for number, change in enumerate(({}, {"concurrency": 1}, {"block": 2})):
        folder = tmp_path / str(number)
        folder.mkdir()
        chosen = settings.model_copy(update=change)
        runs.append(world.hold(world.backend(swing=0.4), folder, chosen))
    assert (
        runs[0].share_first.tolist() == runs[1].share_first.tolist() == runs[2].share_first.tolist()
    )


def test_the_plenary_writes_joins_is_criticised_and_revised(world_of, tmp_path) -> None:
    world = world_of(citizens=16)
    backend = anybody(world)
    settings = AssemblySettings(table_size=4, tables_per_group=2, block=9, plenary=True)
    world.hold(backend, tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        texts = ledger.group_texts()
    counts = {step: sum(t.step == step for t in texts) for step in range(4)}
    assert counts == {TABLE: 4 * 9, DRAFT: 2 * 9, CRITICISM: 4 * 9, REVISED: 2 * 9}
    assert all((t.citizen is None) == (t.step != CRITICISM) for t in texts)
    shown = [text for text in ballots(backend) if "The statement of your assembly:" in text]
    assert len(shown) == 2 * 16 * 9


def test_a_plenary_that_fails_is_counted_and_shown_to_nobody(world, tmp_path) -> None:
    backend = anybody(
        world,
        spoil=lambda c: "refused" if c[0].content.startswith("You moderate") else None,
    )
    settings = AssemblySettings(table_size=4, tables_per_group=3, block=9, plenary=True)
    events = []
    votes = world.hold(backend, tmp_path, settings, events.append)
    assert sum(e.invalid for e in events if e.kind == "group") == 3 * 9
    assert votes.counted(AFTER)["valid"] == 2 * 11 * 9
    assert not any("The statement of" in text for text in ballots(backend))


def test_the_follow_up_has_the_gist_only(world, tmp_path) -> None:
    backend = world.backend(swing=0.3)
    settings = AssemblySettings(table_size=4, block=9, follow_up=True)
    votes = world.hold(backend, tmp_path, settings)
    assert votes.counted(FOLLOW_UP)["valid"] == 2 * 11 * 9
    assert sum("Earlier, in short:" in text for text in ballots(backend)) == 2 * 11 * 9
    shifts = [citizen_shares(votes, phase, 11, 9) for phase in range(3)]
    assert np.abs(shifts[2] - shifts[0]).max() > 0.01


def entry(world, pair: int, swapped: bool = False) -> dict[str, object]:
    first, second = (world.texts[k] for k in world.pairs[pair])
    if swapped:
        first, second = second, first
    return {
        "first": first,
        "second": second,
        "for_first": [f"Briefed for {first}."],
        "for_second": [f"Briefed for {second}."],
    }


def test_a_briefing_from_a_file_is_shown_to_all_after_the_first_ballot(world, tmp_path) -> None:
    path = tmp_path / "briefing.json"
    path.write_text(json.dumps({"pairs": [entry(world, 0), entry(world, 1, swapped=True)]}))
    backend = world.backend()
    world.hold(backend, tmp_path, AssemblySettings(table_size=4, block=9, briefing=path))
    shown = [text for text in ballots(backend) if "Everybody was given" in text]
    assert len(shown) == 2 * 2 * 11
    for text in shown:
        options = dict(line[7:].split(": ") for line in text.splitlines() if line[:7] == "Option ")
        for letter, words in options.items():
            assert f"For {letter}: Briefed for {words}." in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"for_second": ["One.", "Two."]}, "balance them"),
        ({"for_first": [], "for_second": []}, "pairs.0.for_first"),
        ({"first": "no such outcome"}, "not on the agenda; remove it"),
    ],
)
def test_a_wrong_briefing_is_refused_before_a_call(world, tmp_path, spoil, message) -> None:
    path = tmp_path / "briefing.yaml"
    path.write_text(json.dumps({"pairs": [entry(world, 0) | spoil]}))
    backend = world.backend()
    with pytest.raises(ConfigError, match=message):
        world.hold(backend, tmp_path, AssemblySettings(briefing=path))
    assert backend.seen == []


@pytest.mark.parametrize("accept", [True, False])
def test_a_generated_briefing_needs_the_reviewers_of_both_sides(world, tmp_path, accept) -> None:
    backend = anybody(world, accept=accept)
    settings = AssemblySettings(table_size=4, block=5, briefing="generated")
    world.hold(backend, tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        states = [a.state for a in ledger.arguments()]
    assert states == [VALID if accept else INVALID] * 18
    shown = [text for text in ballots(backend) if "Everybody was given" in text]
    assert len(shown) == (2 * 11 * 9 if accept else 0)
    again = anybody(world, accept=accept)
    world.hold(again, tmp_path, settings)
    assert again.seen == []


def test_a_third_answer_is_an_abstention_and_no_vote(world, tmp_path, small) -> None:
    class Undecided(type(world.backend())):
        def _choice(self, conversation):
            if conversation[0].content == world.systems[3]:
                return Choice((0.1, 0.2, 0.7), 0.99, 1, 1)
            first, second = super()._choice(conversation).shares
            return Choice((0.9 * first, 0.9 * second, 0.1), 0.99, 1, 1)

    backend = Undecided(world.backend().utilities)
    settings = small.model_copy(update={"abstain": True, "rounds": 0})
    votes = world.hold(backend, tmp_path, settings)
    assert votes.counted(AFTER)["abstained"] == 2 * 9
    assert (votes.state[votes.citizen == 3] == ABSTAINED).all()
    assert np.isnan(citizen_shares(votes, AFTER, 11, 9)[3]).all()
    assert all("\nOption C: No opinion" in c[1].content for c in backend.seen)


def test_each_voter_meets_the_pairs_in_an_order_of_his_own(world, tmp_path, small) -> None:
    backend = world.backend()
    world.hold(backend, tmp_path, small.model_copy(update={"rounds": 0, "concurrency": 1}))
    first = backend.seen[: backend.batches[0]]
    by_voter = {}
    for conversation in first:
        by_voter.setdefault(conversation[0].content, []).append(conversation[1].content)
    assert len({tuple(texts) for texts in by_voter.values()}) == len(by_voter)
    assert len({tuple(sorted(texts)) for texts in by_voter.values()}) == 1


def claims(backend) -> dict[tuple[str, str], str]:
    return {
        (c[0].content, c[1].content.split("Option A: ")[1]): c[1].content
        for c in backend.seen
        if "Of the others at your table" in c[1].content
    }


def test_a_false_majority_is_claimed_for_one_outcome_in_both_orders(world, tmp_path) -> None:
    backend = world.backend()
    settings = AssemblySettings(table_size=4, block=9, condition="none", probe="false-majority")
    world.hold(backend, tmp_path, settings)
    found = claims(backend)
    assert len(found) == 2 * 11 * 9
    sides = claimed_sides(9, 3)
    for text in found.values():
        a = text.split("Option A: ")[1].split("\n")[0]
        names = {world.texts[k] for k in world.pairs.reshape(-1)}
        assert a in names
        counts = [int(w) for w in text.replace(",", " ").split() if w.isdigit()][:2]
        pair = next(
            p for p, (x, y) in enumerate(world.pairs)
            if {world.texts[x], world.texts[y]} == set(_options(text))
        )  # fmt: skip
        favoured = world.texts[world.pairs[pair][sides[pair]]]
        assert counts[0 if a == favoured else 1] == max(counts) > 0


def _options(text: str) -> list[str]:
    return [line[10:] for line in text.splitlines() if line.startswith("Option ")]


def test_a_reveal_tells_the_others_votes_and_no_argument(world, tmp_path) -> None:
    backend = world.backend()
    settings = AssemblySettings(table_size=4, block=9, condition="none", probe="vote-reveal")
    world.hold(backend, tmp_path, settings)
    tables = seat(11, 9, settings, seed=3).tables
    for (system, _), text in claims(backend).items():
        citizen = world.systems.index(system)
        others = [c for t in tables if citizen in t for c in t if c != citizen]
        a, b = (world.texts.index(words) for words in _options(text))
        for_a = int((world.utilities[others, a] > world.utilities[others, b]).sum())
        told = f"Of the others at your table, {for_a} prefer option A and {len(others) - for_a}"
        assert told in text
        assert "people said" not in text
    with pytest.raises(ValidationError, match="without arguments"):
        AssemblySettings(probe="vote-reveal")


def test_persona_probes_keep_seats_and_change_what_citizens_are_told(world, tmp_path) -> None:
    told = shuffled(world.systems, 4)
    assert sorted(told) == sorted(world.systems)
    assert all(one != two for one, two in zip(told, world.systems, strict=True))
    backend = world.backend()
    backend.utilities[NO_PERSONA] = dict.fromkeys(world.texts, 0.0)
    votes = world.hold(backend, tmp_path, AssemblySettings(probe="no-persona", rounds=0))
    assert len({c[0].content for c in backend.seen}) == 1
    assert set(votes.share_first) == {0.5}


def test_arms_that_share_their_calls_ask_the_first_ballot_once(world, tmp_path, small) -> None:
    store, asked = MemoryStore(), {}
    for condition in ("deliberation", "reflection", "none"):
        (tmp_path / condition).mkdir()
        backend = world.backend()
        world.hold(
            backend,
            tmp_path / condition,
            small.model_copy(update={"condition": condition}),
            calls=store,
        )
        asked[condition] = backend
    assert asked["none"].seen == []
    assert not any("citizen number" in text for text in ballots(asked["reflection"])
                   if "You thought:" not in text)  # fmt: skip
    assert len(ballots(asked["reflection"])) == 2 * 11 * 9


@pytest.mark.parametrize(
    "change",
    [{}, {"condition": "reflection", "summary": "model"}, {"tables_per_group": 3, "plenary": True}],
)
def test_no_prompt_is_longer_than_stated_however_long_the_speeches(world, tmp_path, change) -> None:
    settings = AssemblySettings(
        table_size=4, rounds=4, block=9, briefing="generated", follow_up=True, **change
    )
    backend = anybody(world, speech=" ".join(f"endless{k}" for k in range(400)))
    world.hold(backend, tmp_path, settings)
    longest = max(sum(len(m.content) for m in c) for c in backend.seen)
    assert longest <= prompt_limit(settings, world.systems, world.texts) <= settings.max_prompt
    assert longest > 1500


def test_a_persona_that_leaves_no_room_is_refused(world, tmp_path, small) -> None:
    world.systems = (*world.systems[:-1], "x" * 20_000)
    with pytest.raises(ConfigError, match="max_prompt is 12000; shorten"):
        world.hold(world.backend(), tmp_path, small)


def test_a_summary_of_long_thoughts_is_asked_for_within_the_bound(world, tmp_path) -> None:
    class Rambling(type(world.backend())):
        def _reply(self, conversation):
            reply = super()._reply(conversation)
            start = conversation[-1].content.count("For ")
            return replace(reply, text=" ".join(f"{start}word{k}" for k in range(200)))

    settings = AssemblySettings(
        table_size=4, rounds=9, speakers=4, block=9, condition="reflection", summary="model"
    )
    backend = Rambling(world.backend().utilities)
    world.hold(backend, tmp_path, settings)
    asked = [c for c in backend.seen if c[0].content.startswith("You moderate")]
    assert asked
    longest = max(sum(len(m.content) for m in c) for c in backend.seen)
    assert longest <= prompt_limit(settings, world.systems, world.texts)


def test_a_briefing_entry_must_be_balanced() -> None:
    with pytest.raises(ValidationError, match="balance"):
        PairBriefing(first="a", second="b", for_first=("x",), for_second=("y", "z"))
