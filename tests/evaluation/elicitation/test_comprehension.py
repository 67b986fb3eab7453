"""Which words a model knows, by a probe: readers of all, of some and of no words are told apart."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.bench import Bench
from support.server import serve

from evaluation.elicitation.comprehension import (
    INVENTED,
    MISSED,
    PLAIN,
    Comprehension,
    invented_words,
    probed_words,
    read_outcomes,
    unknown_words,
)
from plenary.errors import DataError, NotMeasured
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling, call_key
from plenary.outcomes import Outcome
from plenary.runs.config import load_config
from plenary.runs.models import probed
from plenary.seeding import generator

TEXTS = (
    "The council builds five hundred flats near the harbour",
    "Every nurse in the county earns twenty dollars more",
    "The railway opens seven stations along the northern coast",
    "Farmers receive cheaper insurance against drought and hail",
    "The library lends telescopes to pupils on Saturdays",
    "Ferries cross the strait every hour during the holidays",
    "The university admits apprentices without an examination",
    "Landlords must insulate attics before the next autumn",
)
STRANGE = (
    "The quux builds five hundred flats near the harbour",
    "Every blorf in the county earns twenty dollars more",
    "The railway opens seven stations along the zorbian coast",
)
OPTIONS = re.compile(r'^Option [AB]: "(.+)" is (a real|an invented) word$', re.MULTILINE)
WORDS = tuple(dict.fromkeys(word for text in TEXTS for word in probed_words(text)))


def outcomes(texts: Sequence[str]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(id=f"o{k}", text=t, topic="x", ladder=None, quantity=None, direction=None)
        for k, t in enumerate(texts)
    )


class Reader(ChatBackend):
    """Holds words for real with probability `real(word)`, and the place A with a lean of `lean`.

    noise: share of answers that are a coin toss. Exact, or one draw a sample.
    """

    supports_seed = True

    def __init__(
        self,
        real: Callable[[str], float],
        *,
        lean: float = 0.0,
        noise: float = 0.0,
        exact: bool = True,
        seed: int = 0,
    ) -> None:
        self._real, self._lean, self._noise, self._seed = real, lean, noise, seed
        self.exact_choice, self.name, self.asked = exact, f"reader:{seed}", 0

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply("word") for _ in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        self.asked += len(conversations)
        return [self._choice(c, labels, samples) for c in conversations]

    def _choice(self, conversation: Conversation, labels: tuple[str, ...], samples: int) -> Choice:
        (word, kind), _ = OPTIONS.findall(conversation[-1].content)
        p = min(max(self._real(word), 1e-6), 1 - 1e-6)
        first = p if kind == "a real" else 1 - p
        first = 1 / (1 + math.exp(-self._lean) * (1 - first) / first)
        first = self._noise / 2 + (1 - self._noise) * first
        if self.exact_choice:
            return Choice((first, 1 - first), 1.0, 1, 1)
        key = call_key("reader", "choose", conversation, labels=labels)
        share = int(generator(self._seed, key).binomial(samples, first)) / samples
        return Choice((share, 1 - share), None, samples, samples)


def unknown(model: ChatBackend, words: Sequence[str], seed: int = 0) -> tuple[str, ...]:
    return asyncio.run(unknown_words(model, words, seed))


def knows(word: str) -> float:
    """Of one who knows every word of the outcomes, and no invented one."""
    return float(word in WORDS or word in PLAIN_WORDS)


PLAIN_WORDS = frozenset(PLAIN)


def test_one_who_reads_all_is_told_so_whatever_the_leaning() -> None:
    for model in (Reader(knows), Reader(knows, lean=4.0), Reader(knows, lean=-4.0, exact=False)):
        assert unknown(model, WORDS) == ()


@pytest.mark.parametrize("exact", [True, False])
def test_words_that_are_not_known_are_named_with_their_outcome(*, exact: bool) -> None:
    said = outcomes((*TEXTS, *STRANGE))
    model = Reader(knows, exact=exact)
    found = asyncio.run(read_outcomes({"one": model}, said, 0.5, 0))
    assert found == Comprehension({"o8": ("quux",), "o9": ("blorf",), "o10": ("zorbian",)}, {})
    # Two answers a word, or twice as many where they are drawn: no more than a few a word.
    assert model.asked == 2 * (len(WORDS) + 3 + INVENTED + len(PLAIN_WORDS))


def test_too_many_of_them_are_refused_by_name_and_with_the_remedy() -> None:
    said = outcomes((*TEXTS[:3], *STRANGE))
    with pytest.raises(DataError, match=r"'one' does not know .* 3 of 6 .*'quux'.*probe=false"):
        asyncio.run(read_outcomes({"one": Reader(knows)}, said, 0.4, 0))


@pytest.mark.slow
def test_who_answers_by_place_or_by_chance_or_always_yes_shows_nothing() -> None:
    for model in (
        Reader(lambda word: 0.5, lean=9.0),
        Reader(lambda word: 0.5, lean=9.0, exact=False),
        Reader(lambda word: 1.0),
        *(Reader(lambda word: 0.5, exact=False, seed=seed) for seed in range(20)),
        *(Reader(lambda word, s=seed: generator(s, word).random()) for seed in range(20)),
    ):
        with pytest.raises(NotMeasured, match=r"told .* of 20 plain words from invented ones"):
            unknown(model, WORDS)
    found = asyncio.run(
        read_outcomes({"one": Reader(lambda word: 0.5)}, outcomes(STRANGE + TEXTS), 0.0, 0)
    )
    assert found.unread == {}
    assert list(found.not_measured) == ["reading of one"]


def test_false_alarms_of_a_noisy_reader_and_luck_of_one_who_does_not_know() -> None:
    """Shares over 30 readers: of known words said to be unknown, and of unknown ones that pass."""
    strange = invented_words(WORDS, 99)
    alarms, passed, asked = 0, 0, 0
    for seed in range(30):
        model = Reader(knows, noise=0.1, exact=False, seed=seed)
        lost = unknown(model, (*WORDS, *strange), seed)
        alarms += len(set(lost) & set(WORDS))
        passed += len(set(strange) - set(lost))
        asked += 1
    assert alarms / (asked * len(WORDS)) < 0.02
    assert passed / (asked * len(strange)) < MISSED


def test_an_unknown_word_passes_by_luck_as_seldom_as_said() -> None:
    """One who knows the plain words, and rates all others by their looks alone."""
    strange = list(invented_words(WORDS, 99))
    passed = []
    for seed in range(40):
        model = Reader(
            lambda word, s=seed: 1.0 if word in PLAIN_WORDS else 0.9 * generator(s, word).random()
        )
        passed.append(1 - len(unknown(model, strange, seed)) / len(strange))
    assert sum(passed) / len(passed) < 1.5 * MISSED


def test_invented_words_look_like_the_words_and_are_none_of_them() -> None:
    made = invented_words(WORDS, 0)
    assert len(made) == len(set(made)) == INVENTED
    assert not set(made) & {word.lower() for word in WORDS}
    assert {len(word) for word in made} <= {len(word) for word in WORDS}


def test_words_that_are_asked_about() -> None:
    assert probed_words("In 3 years the Städte of São-Tomé pay €500 a day") == (
        "years", "the", "Städte", "São", "Tomé", "pay", "day"
    )  # fmt: skip
    assert probed_words("城市建造五百套公寓 מים") == ()


def test_outcomes_without_such_words_ask_nothing() -> None:
    model = Reader(knows)
    assert asyncio.run(
        read_outcomes({"x": model}, outcomes(("城市", "公寓")), 0.0, 0)
    ) == Comprehension({}, {})
    assert model.asked == 0


class Claims(dict[str, float]):
    """Utilities of the outcomes, and claims about words: "quux" is as strange as invented ones."""

    def __contains__(self, text: object) -> bool:
        return super().__contains__(text) or '"' in str(text)

    def __missing__(self, text: str) -> float:
        word = text.split('"')[1]
        known = word in PLAIN_WORDS or word in ("the", "town", "plants", "trees", "for", "health")
        return 8.0 if known == ("real" in text) else 0.0


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    return Bench(tmp_path, monkeypatch, capsys)


def test_an_endpoint_that_does_not_know_some_words_is_found_out_in_a_run(bench: Bench) -> None:
    texts = [f"the town plants {k} {'quux' if k > 5 else 'trees'} for health" for k in range(8)]
    rows = [f"o{k},{text},health" for k, text in enumerate(texts)]
    (bench.folder / "outcomes.csv").write_text("\n".join(["id,text,topic", *rows]))
    utilities = {text: float(k) for k, text in enumerate(texts)}
    (bench.folder / "world.json").write_text(json.dumps({"utilities": utilities}))
    with serve("logprobs", scores=Claims(utilities)) as server:
        specs = (
            "small.yaml", *bench.specs()[:2], "--set", "citizens_model=langchain:openai:tiny",
            "--set", f"base_url={server.url}", "--set", "outcomes.count=8", "--set",
            "panel.citizens=4", "--set", "assembly.table_size=2", "--set", "dataset.paraphrased=0",
            "--set", "design.train_pairs=6", "--set", "design.held_out_pairs=3", "--set",
            "assembly.rounds=1",
        )  # fmt: skip
        refused = bench.here("dataset", *specs, "--set", "outcomes.max_unread=0.2")
        held = (bench.folder / "runs/small/ledger.sqlite").exists()
        asked = len(server.requests)
        answer = bench.here("dataset", *specs, "--json")
        again = [str(r) for r in server.requests[asked:] if "an invented word" in str(r)]
    assert refused.code == 3
    assert "does not know a word of 2 of 8 outcomes ('o6': 'quux'; 'o7': 'quux')" in refused.err
    assert not held
    assert answer.code == 0, answer.err
    assert again == []
    assert json.loads(answer.out)["outcomes not read"] == "o6 (quux); o7 (quux)"
    folder = bench.folder / "runs/small"
    assert "- `o6`: quux" in (folder / "dataset/README.md").read_text()
    assert json.loads((folder / "assembly.json").read_text())["reading"]["unread"] == {
        "o6": ["quux"], "o7": ["quux"]
    }  # fmt: skip
    assert json.loads((folder / "diagnostics.json").read_text())["unread"]["o7"] == ["quux"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], []),
        (["outcomes.path=own.csv"], ["langchain:openai:a"]),
        (["outcomes.path=own.csv", "outcomes.probe=false"], []),
        (["outcomes.probe=true"], ["langchain:openai:a"]),
    ],
)
def test_models_that_are_asked(changes: list[str], expected: list[str]) -> None:
    specs = ("embedded", "planted:world.json", "langchain:openai:a")
    assert probed(load_config(None, changes), specs) == expected
