from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from scipy.stats import norm

from plenary.errors import BackendError, ConfigError
from plenary.models.base import Choice, Conversation, Message, Sampling
from plenary.models.planted import PlantedBackend, PlantedWorld, open_spec
from plenary.models.settings import ChatSettings

UTILITIES = {"trees grow": 1.0, "trees grow tall": -0.5, "a clinic opens": 0.2}
PERSONA = "You are a 44-year-old man."


def backend(**settings: object) -> PlantedBackend:
    fields = {"utilities": UTILITIES, "personas": {PERSONA: {"trees grow": -1.0}}, **settings}
    return PlantedBackend(PlantedWorld.model_validate(fields))


def ask(text: str, system: str | None = None) -> Conversation:
    user = Message("user", text)
    return (Message("system", system), user) if system else (user,)


def plain(a: str, b: str) -> str:
    return f"Which one would you prefer? Answer with A or B only.\nOption A: {a}\nOption B: {b}"


def choose(model: PlantedBackend, conversation: Conversation, samples: int = 1) -> Choice:
    return asyncio.run(model.choose([conversation], ("A", "B"), samples=samples, seed=5))[0]


def test_probability_is_the_stated_formula() -> None:
    world = backend(sigma=0.7, order_bias=0.3, lapse=0.2, invalid=0.1)
    choice = choose(world, ask(plain("trees grow", "a clinic opens")))
    expected = 0.1 + 0.8 * norm.cdf((1.0 - 0.2 + 0.3) / (0.7 * 2**0.5))
    assert choice.shares == pytest.approx((expected, 1 - expected))
    assert choice.mass == pytest.approx(0.9)


def test_swapping_the_order_swaps_the_answer_but_for_the_bias() -> None:
    fair = backend()
    p = choose(fair, ask(plain("trees grow", "a clinic opens"))).shares[0]
    assert choose(fair, ask(plain("a clinic opens", "trees grow"))).shares[1] == pytest.approx(p)


def test_personas_have_their_own_utilities() -> None:
    fair = backend()
    question = plain("Trees grow.", "a clinic opens")
    assert choose(fair, ask(question)).shares[0] > 0.5
    assert choose(fair, ask(question, PERSONA)).shares[0] < 0.5
    assert choose(fair, ask(question, "You are somebody else.")).shares[0] > 0.5


@pytest.mark.parametrize(
    "question",
    [
        plain("trees grow tall", "a clinic opens"),
        "Would you rather have it that trees grow tall, or that a clinic opens?",
        "**Option A:** Trees grow tall.\n**Option B:** A clinic opens.",
        "At your table people said:\nFor A: trees grow\n\n"
        + plain("trees grow tall", "a clinic opens"),
    ],
)
def test_outcomes_are_known_in_any_template(question: str) -> None:
    expected = norm.cdf((-0.5 - 0.2) / (0.5 * 2**0.5))
    assert choose(backend(), ask(question)).shares[0] == pytest.approx(expected)


def test_the_digest_moves_citizens() -> None:
    said = "At your table people said:\nFor A: it is good\nFor A: yes\nFor B: no\n\n"
    moved = backend(swing=0.4)
    question = plain("trees grow", "a clinic opens")
    expected = norm.cdf((1.0 - 0.2 + 0.4) / (0.5 * 2**0.5))
    assert choose(moved, ask(said + question)).shares[0] == pytest.approx(expected)
    assert choose(backend(), ask(said + question)) == choose(backend(), ask(question))


def test_samples_follow_the_probability() -> None:
    sampled = backend(exact=False, invalid=0.25, order_bias=-0.8)
    choice = choose(sampled, ask(plain("trees grow", "a clinic opens")), samples=20_000)
    assert choice.mass is None
    assert choice.valid / choice.asked == pytest.approx(0.75, abs=0.02)
    assert choice.shares[0] == pytest.approx(0.5, abs=0.02)
    assert choice == choose(sampled, ask(plain("trees grow", "a clinic opens")), samples=20_000)
    assert (sampled.exact_choice, backend().exact_choice) == (False, True)


def test_no_valid_sample_is_invalid() -> None:
    choice = choose(
        backend(exact=False, invalid=0.999999), ask(plain("trees grow", "a clinic opens"))
    )
    assert (choice.shares, choice.asked, choice.valid) == ((), 1, 0)


def test_replies_repeat_by_seed_and_name_no_letter() -> None:
    world = backend(invalid=0.3)
    asked = [ask(f"Speak, {k}.") for k in range(40)]
    replies = asyncio.run(world.generate(asked, Sampling(seed=2)))
    assert replies == asyncio.run(world.generate(asked, Sampling(seed=2)))
    assert replies != asyncio.run(world.generate(asked, Sampling(seed=2, sample=1)))
    texts = {reply.text for reply in replies}
    assert len(texts) > 2
    assert None in texts
    assert not [text for text in texts if text and {"A", "B"} & set(text.split())]


def test_the_name_is_the_world() -> None:
    assert backend().name == backend().name != backend(lapse=0.1).name


def test_unknown_outcomes_and_labels_are_errors() -> None:
    with pytest.raises(BackendError, match="do not know two outcomes"):
        choose(backend(), ask(plain("trees grow", "something else")))
    with pytest.raises(BackendError, match="two or three labels"):
        asyncio.run(backend().choose([ask(plain("trees grow", "taxes rise"))], tuple("ABCD")))


def test_worlds_are_read_from_files(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text(json.dumps({"utilities": UTILITIES, "sigma": 0.4}))
    assert open_spec(str(path), None, None, ChatSettings()).name.startswith("planted:")
    path.write_text(json.dumps({"utilities": UTILITIES, "sigma": -1}))
    with pytest.raises(ConfigError, match="has -1 at 'sigma'"):
        open_spec(str(path), None, None, ChatSettings())
    with pytest.raises(ConfigError, match="cannot read planted world"):
        open_spec(str(tmp_path / "none.json"), None, None, ChatSettings())
