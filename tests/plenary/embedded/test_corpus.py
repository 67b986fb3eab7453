import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from plenary.embedded import corpus, model_path, training
from plenary.embedded.replay import replay_conversations
from plenary.models.base import Message


@pytest.fixture(scope="module")
def tokenizer():
    return PreTrainedTokenizerFast.from_pretrained(model_path())


@pytest.fixture
def drawn(tokenizer):
    return corpus.Corpus(tokenizer, np.random.default_rng(5), 160)


def segments(pack):
    numbers = np.array(pack.questions)
    return {int(n): np.flatnonzero(numbers == n) for n in np.unique(numbers)}


@pytest.mark.parametrize("progress", [0.05, 0.2, 0.9])
def test_pack_holds_what_the_chat_template_renders(tokenizer, drawn, progress):
    for _ in range(10):
        pack = drawn.pack(progress)
        text = tokenizer.decode(pack.ids)
        again = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert again == pack.ids
        for answer in pack.answers:
            assert tokenizer.convert_ids_to_tokens(pack.ids[answer.place]) == "<|assistant|>"


def test_positions_of_every_question_continue_from_the_persona(drawn):
    pack = drawn.pack(0.9)
    parts = segments(pack)
    prefix = len(parts.get(0, ()))
    for number, places in parts.items():
        start = 0 if number == 0 else prefix
        assert [pack.positions[k] for k in places] == list(range(start, start + len(places)))


def test_both_orders_have_opposite_targets(drawn):
    while not (pack := drawn.pack(0.2)).answers or not pack.answers[0].planted:
        pass
    first, second = pack.answers[:2]
    assert first.p_first == pytest.approx(1 - second.p_first)
    np.testing.assert_allclose(first.first, second.second)


def test_a_pack_teaches_the_same_as_its_questions_one_by_one(tokenizer, drawn):
    pack = drawn.pack(0.9)
    vectors = torch.randn(len(tokenizer), training.WIDTH)
    model = training.new_model(vectors).eval()
    batch = training.collate([pack])
    with torch.no_grad():
        packed = model.model(
            input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions
        ).last_hidden_state[0]
        parts = segments(pack)
        prefix = parts.pop(0, np.array([], dtype=int))
        for places in parts.values():
            alone = np.concatenate([prefix, places])
            ids = torch.tensor([[pack.ids[k] for k in alone]])
            single = model.model(input_ids=ids).last_hidden_state[0, len(prefix) :]
            torch.testing.assert_close(packed[torch.tensor(places)], single, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_training_runs_through_every_stage(tokenizer, drawn):
    torch.manual_seed(0)
    vectors = torch.randn(len(tokenizer), training.WIDTH) * 0.05
    labels = tuple(tokenizer.convert_tokens_to_ids(["A", "B"]))
    seen = []
    recipe = training.Recipe(
        reading_steps=4, steps=12, packs=3, length=100, warm_up=2, report_every=4
    )
    model = training.train(
        vectors, drawn, labels, recipe, lambda step, parts, _: seen.append(parts)
    )
    everything = {"choice", "speech", "attributes", "weights", "side", "products", "joined"}
    assert everything <= set().union(*seen)
    assert len(seen) == 4
    assert all(np.isfinite(list(parts.values())).all() for parts in seen)
    torch.testing.assert_close(model.model.embed_tokens.weight, vectors)


def test_replay_conversations_end_with_a_reply_and_repeat_with_the_seed():
    made = replay_conversations(3, 9)
    assert made == replay_conversations(3, 9)
    assert all(c[-1].role == "assistant" and isinstance(c[-1], Message) for c in made)
