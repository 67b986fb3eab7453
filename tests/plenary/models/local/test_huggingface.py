"""The transformers door on tiny random models whose sliding windows are crossed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.checkpoints import CHECKPOINTS, CheckpointName
from transformers import AutoModelForCausalLM, AutoTokenizer

from plenary.errors import BackendError
from plenary.models.base import Conversation, Message, Sampling
from plenary.models.local import prefix_batching
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.forward import Forward
from plenary.models.local.huggingface import LocalBackend
from plenary.models.settings import LocalSettings

LABELS = ("A", "B")
PERSONA = (
    "You are a 44-year-old white woman from Ohio in the Midwest. "
    "You live in a large metropolitan area."
)
WORDS = [
    "the",
    "town",
    "plants",
    "four",
    "hundred",
    "trees",
    "a",
    "clinic",
    "opens",
    "in",
    "valley",
    "saves",
    "lives",
]

CheckpointMaker = Callable[[CheckpointName], Path]


def conversations(count: int, seed: int = 0) -> list[Conversation]:
    """Questions of different length, most of them to one of two personas."""
    rng = np.random.default_rng(seed)

    def words() -> str:
        return " ".join(rng.choice(WORDS, int(rng.integers(2, 14))))

    systems = [PERSONA, f"{PERSONA} You are married.", None]
    result = []
    for k in range(count):
        user = Message(
            "user", f"Answer with A or B only.\nOption A: {words()}\nOption B: {words()}"
        )
        system = systems[k % 3]
        result.append((Message("system", system), user) if system else (user,))
    return result


def choose(
    backend: LocalBackend, asked: list[Conversation], labels: tuple[str, ...] = LABELS
) -> np.ndarray:
    """Shares and mass [N, labels + 1]."""
    choices = asyncio.run(backend.choose(asked, labels))
    return np.array([(*choice.shares, choice.mass) for choice in choices])


def reference(
    path: Path, asked: list[Conversation], labels: tuple[str, ...] = LABELS
) -> np.ndarray:
    """One prompt at a time, whole, without padding or cache."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    prompts = ChatRenderer(AutoTokenizer.from_pretrained(path)).answer_prompts(asked, labels)
    result = []
    for row, answer in zip(prompts.rows, prompts.answers, strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor(row.astype(np.int64))[None]).logits[0, -1]
        p = torch.softmax(logits.double(), -1)[[ids[0] for ids in answer.labels]].numpy()
        result.append([*(p / p.sum()), p.sum()])
    return np.array(result)


@pytest.fixture
def eager_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share prefixes even where it does not pay, so that small tests exercise it."""
    monkeypatch.setattr(prefix_batching, "PREFIX_COST", 0)


@pytest.mark.usefixtures("eager_sharing")
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_shared_batched_and_one_by_one_agree(
    checkpoint: CheckpointMaker, name: CheckpointName
) -> None:
    asked = conversations(24)
    backend = LocalBackend(checkpoint(name))
    rows = ChatRenderer(AutoTokenizer.from_pretrained(checkpoint(name))).answer_prompts(asked).rows
    assert max(run.prefix for run in prefix_batching.plan_runs(rows)) > 30
    truth = reference(checkpoint(name), asked)
    assert truth[:, 0].std() > 0.01
    np.testing.assert_allclose(choose(backend, asked), truth, atol=1e-5)
    single = np.concatenate([choose(backend, [conversation]) for conversation in asked])
    np.testing.assert_allclose(single, truth, atol=1e-5)
    small = LocalBackend(checkpoint(name), settings=LocalSettings(batch_tokens=64))
    np.testing.assert_allclose(choose(small, asked), truth, atol=1e-5)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_batches_without_sharing_agree(
    checkpoint: CheckpointMaker, name: CheckpointName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_batching, "PREFIX_COST", 1 << 30)
    asked = conversations(12)
    backend = LocalBackend(checkpoint(name))
    np.testing.assert_allclose(
        choose(backend, asked), reference(checkpoint(name), asked), atol=1e-5
    )


@pytest.mark.usefixtures("eager_sharing")
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_greedy_replies_agree_with_transformers(
    checkpoint: CheckpointMaker, name: CheckpointName
) -> None:
    path, asked = checkpoint(name), conversations(9)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    rows = ChatRenderer(tokenizer).answer_prompts(asked).rows
    expected = []
    for row in rows:
        ids = torch.tensor(row.astype(np.int64))[None]
        for _ in range(12):
            with torch.inference_mode():
                ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        expected.append(ids[0, len(row) :].tolist())
    backend = LocalBackend(path)
    drawn = np.zeros((len(rows), 12))
    assert backend._forward.replies(rows, drawn, 0.0, [1 << 20]) == expected
    ends = [expected[0][5], expected[3][2]]
    cut = [
        reply[: next((k for k, token in enumerate(reply) if token in ends), None)]
        for reply in expected
    ]
    assert backend._forward.replies(rows, drawn, 0.0, ends) == cut


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_a_reply_depends_on_seed_sample_and_prompt_only(
    checkpoint: CheckpointMaker, name: CheckpointName
) -> None:
    backend, asked = LocalBackend(checkpoint(name)), conversations(8)
    sampling = Sampling(temperature=0.8, max_tokens=6, seed=3)
    together = asyncio.run(backend.generate(asked, sampling))
    alone = [asyncio.run(backend.generate([c], sampling))[0] for c in reversed(asked)][::-1]
    assert together == alone
    other = asyncio.run(backend.generate(asked, Sampling(0.8, 6, seed=3, sample=1)))
    assert other != together


def test_sampling_follows_the_model(checkpoint: CheckpointMaker) -> None:
    backend, asked = LocalBackend(checkpoint("qwen2")), conversations(1)
    rows = backend._renderer.answer_prompts(asked).rows * 4000
    drawn = np.random.default_rng(0).random((4000, 1))
    first = [reply[0] for reply in backend._forward.replies(rows, drawn, 1.0, [])]
    token, count = np.unique(first, return_counts=True)
    top = token[count.argmax()]
    p = np.exp(backend._forward.label_log_probs(rows[:1], [int(top)]))[0, 0]
    assert abs(count.max() / 4000 - p) < 4 * np.sqrt(p * (1 - p) / 4000)


def test_replies_hold_no_control_token(checkpoint: CheckpointMaker) -> None:
    backend = LocalBackend(checkpoint("llama"))
    replies = asyncio.run(
        backend.generate(conversations(30), Sampling(temperature=2.0, max_tokens=16))
    )
    texts = [reply.text for reply in replies if reply.text]
    assert texts
    assert not [text for text in texts if "<|" in text or "[PAD]" in text]
    assert all(reply.failure for reply in replies if reply.text is None)
    assert all(reply.completion_tokens <= 16 for reply in replies)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
def test_labels_of_several_tokens_are_scored_whole(
    checkpoint: CheckpointMaker, name: CheckpointName
) -> None:
    path, asked, labels = checkpoint(name), conversations(4), ("eight trees", "valley", "gamma")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    prompts = ChatRenderer(AutoTokenizer.from_pretrained(path)).answer_prompts(asked, labels)
    truth = []
    for row, answer in zip(prompts.rows, prompts.answers, strict=True):
        assert max(map(len, answer.labels)) > 1
        logs = []
        for label in answer.labels:
            ids = torch.tensor([*row.tolist(), *label])[None]
            with torch.inference_mode():
                each = torch.log_softmax(model(ids).logits[0].double(), -1)
            logs.append(sum(float(each[len(row) + k - 1, token]) for k, token in enumerate(label)))
        p = np.exp(logs)
        truth.append([*(p / p.sum()), p.sum()])
    np.testing.assert_allclose(choose(LocalBackend(path), asked, labels), truth, atol=1e-5)


def test_mass_is_the_label_probability_among_all_tokens(checkpoint: CheckpointMaker) -> None:
    shares = choose(LocalBackend(checkpoint("llama")), conversations(6))
    np.testing.assert_allclose(shares[:, :2].sum(axis=1), 1.0)
    assert ((shares[:, 2] > 0) & (shares[:, 2] < 0.5)).all()


def test_a_prompt_that_does_not_fit_fails_alone(checkpoint: CheckpointMaker) -> None:
    backend = LocalBackend(checkpoint("gpt2"))
    long: Conversation = (Message("user", "trees " * 1100),)
    good, bad = asyncio.run(backend.choose([*conversations(1), long], LABELS))
    assert good.valid == 1
    assert (bad.valid, bad.shares) == (0, ())
    assert "1024 positions" in (bad.failure or "")
    replies = asyncio.run(backend.generate([long, *conversations(1)], Sampling(max_tokens=2)))
    assert replies[0].text is None
    assert "1024 positions" in (replies[0].failure or "")


def test_nothing_asked_nothing_answered(checkpoint: CheckpointMaker) -> None:
    backend = LocalBackend(checkpoint("llama"))
    assert asyncio.run(backend.choose([], LABELS)) == []
    assert asyncio.run(backend.generate([], Sampling())) == []


def test_name_is_the_content_not_the_place(checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    moved = shutil.copytree(checkpoint("llama"), tmp_path / "moved")
    assert LocalBackend(moved).name == LocalBackend(checkpoint("llama")).name
    assert LocalBackend(moved).name != LocalBackend(checkpoint("qwen2")).name
    template = moved / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert LocalBackend(moved).name != LocalBackend(checkpoint("llama")).name


pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def adapter(checkpoint: CheckpointMaker, tmp_path: Path) -> Path:
    """A LoRA adapter that changes something."""
    from peft import LoraConfig, get_peft_model

    model = AutoModelForCausalLM.from_pretrained(checkpoint("llama"), dtype=torch.float32)
    torch.manual_seed(0)
    config = LoraConfig(
        r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    get_peft_model(model, config).save_pretrained(tmp_path)
    return tmp_path


def test_an_adapter_changes_answers_and_name(checkpoint: CheckpointMaker, adapter: Path) -> None:
    from peft import PeftModel

    plain, tuned = (
        LocalBackend(checkpoint("llama")),
        LocalBackend(checkpoint("llama"), adapter=adapter),
    )
    assert tuned.name.startswith(f"{plain.name}+")
    asked = conversations(3)
    base = AutoModelForCausalLM.from_pretrained(checkpoint("llama"), dtype=torch.float32)
    wrapped = PeftModel.from_pretrained(base, str(adapter)).eval()
    prompts = plain._renderer.answer_prompts(asked)
    for row, answer, choice in zip(
        prompts.rows, prompts.answers, asyncio.run(tuned.choose(asked, LABELS)), strict=True
    ):
        with torch.inference_mode():
            logits = wrapped(input_ids=torch.tensor(row.astype(np.int64))[None]).logits[0, -1]
        p = torch.softmax(logits, -1)[[ids[0] for ids in answer.labels]]
        assert choice.shares[0] == pytest.approx(float(p[0] / p.sum()), abs=1e-4)
    assert not np.allclose(choose(plain, asked), choose(tuned, asked), atol=1e-3)


def test_missing_and_unsafe_checkpoints_are_plain_errors(
    checkpoint: CheckpointMaker, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match="is not a folder"):
        LocalBackend(tmp_path / "nowhere")
    with pytest.raises(BackendError, match="has no safetensors"):
        LocalBackend(tmp_path)
    broken = shutil.copytree(checkpoint("llama"), tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BackendError, match="cannot load model"):
        LocalBackend(broken)
    (broken / "config.json").write_text("{}")
    with pytest.raises(BackendError, match="cannot load model"):
        LocalBackend(broken)


def test_an_adapter_for_another_model_is_a_plain_error(
    checkpoint: CheckpointMaker, adapter: Path
) -> None:
    with pytest.raises(BackendError, match="cannot load adapter"):
        LocalBackend(checkpoint("gpt2"), adapter=adapter)


def test_the_event_loop_stays_free(checkpoint: CheckpointMaker) -> None:
    backend = LocalBackend(checkpoint("llama"))

    async def both() -> tuple[int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.create_task(tick())
        first, second = await asyncio.gather(
            backend.choose(conversations(60), LABELS), backend.choose(conversations(60), LABELS)
        )
        ticker.cancel()
        return ticks, sum(a == b for a, b in zip(first, second, strict=True))

    ticks, same = asyncio.run(both())
    assert ticks > 10
    assert same == 60


def test_a_batch_that_exceeds_the_memory_is_halved(
    checkpoint: CheckpointMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, asked = LocalBackend(checkpoint("llama")), conversations(12)
    truth, read, sizes = choose(backend, asked), Forward._read, list[int]()

    def small(self: Forward, suffixes: list[np.ndarray], *rest: object, **named: bool) -> object:
        sizes.append(len(suffixes))
        if len(suffixes) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return read(self, suffixes, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Forward, "_read", small)
    np.testing.assert_allclose(choose(backend, asked), truth, atol=1e-5)
    assert max(sizes) > 3

    def none(self: Forward, *rest: object, **named: bool) -> object:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Forward, "_read", none)
    with pytest.raises(BackendError, match="exceeds the memory"):
        choose(backend, asked)


def test_half_precision_is_another_model_of_nearly_the_same_answers(
    checkpoint: CheckpointMaker,
) -> None:
    path, asked = checkpoint("llama"), conversations(6)
    half = LocalBackend(path, settings=LocalSettings(dtype="bfloat16"))
    full = LocalBackend(path)
    assert half.name == f"{full.name}/bfloat16"
    np.testing.assert_allclose(choose(half, asked), choose(full, asked), atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LocalSettings(four_bit=True), "4-bit weights on device 'cpu'"),
        (LocalSettings(device="mps"), "no device 'mps'"),
    ],
)
def test_a_place_that_is_not_there_is_an_error(
    checkpoint: CheckpointMaker, settings: LocalSettings, message: str
) -> None:
    with pytest.raises(BackendError, match=message):
        LocalBackend(checkpoint("llama"), settings=settings)


def test_an_adapter_is_swapped_on_one_base(
    checkpoint: CheckpointMaker, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = checkpoint("llama"), conversations(4)
    alone = {
        "before": LocalBackend(path),
        "after": LocalBackend(path, adapter=adapter),
    }
    truth = {when: choose(backend, asked) for when, backend in alone.items()}
    loaded = []
    load = AutoModelForCausalLM.from_pretrained
    monkeypatch.setattr(
        AutoModelForCausalLM, "from_pretrained", lambda *a, **k: loaded.append(1) or load(*a, **k)
    )
    before = LocalBackend(path)
    after = before.with_adapter(adapter)
    for _ in range(2):
        np.testing.assert_array_equal(choose(before, asked), truth["before"])
        np.testing.assert_allclose(choose(after, asked), truth["after"], atol=1e-5)
    assert loaded == [1]
    assert (before.name, after.name) == (alone["before"].name, alone["after"].name)

    async def at_once() -> list[object]:
        turns = [b.choose(asked, LABELS) for b in (before, after) * 3]
        return list(await asyncio.gather(*turns))

    answers = asyncio.run(at_once())
    assert answers[0] == answers[2] == answers[4]
    assert answers[1] == answers[3] == answers[5] != answers[0]
    sampling = Sampling(max_tokens=5, seed=1)
    replies = [asyncio.run(b.generate(asked, sampling)) for b in (after, alone["after"], before)]
    assert replies[0] == replies[1] != replies[2]
    with pytest.raises(BackendError, match="has an adapter already"):
        after.with_adapter(adapter)
