from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.training.batches import encode_answers, encode_replay
from plenary.errors import DataError
from plenary.models.base import Conversation, Message
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.prompt_templates import PROMPT_TEMPLATES, question
from plenary.training_rows import SoftRow, Turn

ASKED = question(PROMPT_TEMPLATES["plain"], "it saves lives", "a clinic opens")
ROW = SoftRow(
    prompt=[Turn(role=message.role, content=message.content) for message in ASKED],
    labels=["A", "B"],
    target_p=0.75,
    weight=1.5,
)
LONGEST = 1024


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2", "mistral", "gpt2"])
def test_rows_stop_where_the_label_stands(checkpoint: Callable[[str], Path], name: str) -> None:
    tokenizer = load_tokenizer(checkpoint(name))
    (row,) = encode_answers(ChatRenderer(tokenizer), [ROW], LONGEST)
    for letter, token in zip("AB", row["label_ids"], strict=True):
        messages = [m._asdict() for m in (*ASKED, Message("assistant", letter))]
        whole = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
        assert list(whole)[: len(row["input_ids"]) + 1] == [*row["input_ids"], *token]
    assert (row["target_p"], row["weight"]) == (0.75, 1.5)


def test_replay_scores_the_reply_and_its_end(
    checkpoint: Callable[[str], Path], replay: list[Conversation]
) -> None:
    tokenizer = load_tokenizer(checkpoint("qwen2"))
    said, _, asked = encode_replay(ChatRenderer(tokenizer), replay, LONGEST)
    assert tokenizer.decode(said.input_ids[1 - said.scored :]) == replay[0][-1].content
    assert asked.scored == 1
    assert tokenizer.decode(asked.input_ids).endswith("<|im_start|>assistant\n")


def test_a_reply_may_start_like_a_label(checkpoint: Callable[[str], Path]) -> None:
    tokenizer = load_tokenizer(checkpoint("llama"))
    for reply in ("A", "B", "A clinic opens"):
        talk = (Message("user", "which?"), Message("assistant", reply))
        (row,) = encode_replay(ChatRenderer(tokenizer), [talk], LONGEST)
        assert row.scored == len(tokenizer(reply, add_special_tokens=False)["input_ids"]) + 1


def test_prompts_longer_than_the_model_are_refused(
    checkpoint: Callable[[str], Path], replay: list[Conversation]
) -> None:
    renderer = ChatRenderer(load_tokenizer(checkpoint("qwen2")))
    with pytest.raises(DataError, match="holds 9"):
        encode_answers(renderer, [ROW], 9)
    with pytest.raises(DataError, match="holds 9"):
        encode_replay(renderer, replay, 9)
    with pytest.raises(DataError, match="no message"):
        encode_replay(renderer, [()], LONGEST)
