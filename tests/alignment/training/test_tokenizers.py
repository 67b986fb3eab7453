"""Label tokens in tokenizers of three kinds, made here, under templates of several families."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import trainers as makers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from alignment.training.batches import (
    AnswerRow,
    collate,
    encode_answers,
    label_log_probs,
    logits_needed,
)
from plenary.models.local.chat_template import ChatRenderer
from plenary.prompt_templates import PROMPT_TEMPLATES
from plenary.training_rows import SoftRow, soft_rows

CORPUS = (
    "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.",
    "Option A: it saves lives. Option B: a clinic opens. Consider two ways.",
    "system user assistant model You are an assistant that answers briefly.",
    "think Equal Alpha Beta Uno",
)
CONTROLS = [
    "<|im_start|>",
    "<|im_end|>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
]
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ m['content'] }} [/INST]{% elif m['role'] == 'assistant' %} {{ m['content'] }}"
    "{{ eos_token }}{% else %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}"
)
TIGHT = MISTRAL.replace("%} {{ m", "%}{{ m")


def _shipped(name: str) -> str:
    folder = resources.files("trl") / "chat_templates"
    return (folder / f"{name}.jinja").read_text(encoding="utf-8")


TEMPLATES = {
    "chatml": _shipped("qwen2_5"),
    "thinking": _shipped("qwen3"),
    "no system role": _shipped("gemma"),
    "leading space": MISTRAL,
    "no leading space": TIGHT,
}


def _byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS * 3,
        makers.BpeTrainer(vocab_size=420, special_tokens=CONTROLS, initial_alphabet=alphabet),
    )
    return made


def _sentence_piece() -> Tokenizer:
    """Metaspace and byte fallback: a space is part of the word, and may be a token of its own."""
    bytes_ = [f"<0x{k:02X}>" for k in range(256)]
    made = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    made.train_from_iterator(
        CORPUS * 3,
        makers.BpeTrainer(vocab_size=520, special_tokens=["<unk>", *CONTROLS, *bytes_]),
    )
    return made


def _word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789", *"[]<>|/_?.:,'"]
    made.train_from_iterator(
        CORPUS * 3,
        makers.WordPieceTrainer(
            vocab_size=400, special_tokens=["[UNK]", *CONTROLS], initial_alphabet=letters
        ),
    )
    made.add_tokens([AddedToken(letter, single_word=True, normalized=False) for letter in "AB"])
    return made


KINDS = {"byte level": _byte_level, "sentence piece": _sentence_piece, "word piece": _word_piece}


def _tokenizer(kind: str, template: str) -> PreTrainedTokenizerFast:
    made = PreTrainedTokenizerFast(
        tokenizer_object=KINDS[kind](),
        additional_special_tokens=CONTROLS,
        bos_token="<bos>" if "start_of_turn" in TEMPLATES[template] else "<s>",
        eos_token="<|im_end|>" if "im_start" in TEMPLATES[template] else "</s>",
    )
    made.chat_template = TEMPLATES[template]
    return made


def _row(tokenizer: PreTrainedTokenizerFast, name: str) -> tuple[AnswerRow, SoftRow]:
    form = PROMPT_TEMPLATES[name]
    one = np.ones(1)
    asked, _ = soft_rows(["pair"], ["it saves lives"], ["a clinic opens"], 0.7 * one, one, [form])
    (row,) = encode_answers(ChatRenderer(tokenizer), [asked], 4096)
    return row, asked


def _said(tokenizer: PreTrainedTokenizerFast, example: SoftRow, label: str) -> list[int]:
    """The whole conversation with the answer, tokenised in one go; the system text folded in."""
    messages = [dict(turn) for turn in example["prompt"]]
    refuses = "raise_exception" in tokenizer.chat_template and "im_start" not in (
        tokenizer.chat_template
    )
    if messages[0]["role"] == "system" and refuses:
        system, user = messages
        messages = [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}]
    messages.append({"role": "assistant", "content": label})
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("asked", ["plain", "pb-01", "pb-10"])
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_label_tokens_stand_where_the_answer_would(kind: str, template: str, asked: str) -> None:
    """Prompt and label tokens are a prefix of the conversation in which the label was said."""
    tokenizer = _tokenizer(kind, template)
    row, example = _row(tokenizer, asked)
    for label, tokens in zip(example["labels"], row["label_ids"], strict=False):
        whole = _said(tokenizer, example, label)
        prompt = row["input_ids"]
        assert whole[: len(prompt) + len(tokens)] == [*prompt, *tokens]
        text = tokenizer.decode(tokens).strip()
        assert label.lower().endswith(text.lower().replace(" ", ""))
        rest = tokenizer.decode(whole[len(prompt) + len(tokens) :], skip_special_tokens=True)
        assert label.lower() not in rest.lower()
    assert row["label_ids"][0] != row["label_ids"][1]
    if template == "thinking":
        assert "</think>" in tokenizer.decode(row["input_ids"]).replace(" ", "")


def test_a_leading_space_goes_with_the_tokenizer_that_wants_it() -> None:
    found = {
        template: _row(_tokenizer("byte level", template), "plain")[0]["label_ids"]
        for template in ("leading space", "no leading space")
    }
    tokenizer = _tokenizer("byte level", "leading space")
    for template, starts in (("leading space", "Ġ"), ("no leading space", "")):
        first = tokenizer.convert_ids_to_tokens(found[template][0])
        assert "".join(first) == f"{starts}A"


def _model(size: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, initializer_range=0.3,
        )
    ).eval()  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_several_tokens_are_scored_as_sequences(kind: str) -> None:
    """Against one sequence at a time, token after token, all positions and the whole vocabulary."""
    tokenizer = _tokenizer(kind, "chatml")
    rows = [_row(tokenizer, name)[0] for name in ("pb-01", "plain", "pb-10")]
    assert max(len(tokens) for row in rows for tokens in row["label_ids"]) > 1
    model = _model(len(tokenizer))
    batch = collate(rows)
    padded = {k: batch[k] for k in ("input_ids", "attention_mask", "position_ids")}
    with torch.no_grad():
        logits = model(**padded, logits_to_keep=logits_needed(batch)).logits
        found = label_log_probs(logits, batch)
        for k, row in enumerate(rows):
            for label, tokens in enumerate(row["label_ids"]):
                ids = [*row["input_ids"], *tokens]
                logs = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
                start = len(row["input_ids"]) - 1
                total = sum(logs[start + at, token] for at, token in enumerate(tokens))
                assert float(found[k, label]) == pytest.approx(float(total), abs=1e-4)
