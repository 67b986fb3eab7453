"""Tiny random-weight checkpoints with a tokenizer and a chat template, one for each awkward family.

`llama`: the shape of the embedded model: lower-casing WordPiece, A and B as added tokens, system
role. `qwen2`: ChatML with a default system text. `gemma2`: soft caps, sliding window, a template
that raises on a system role. `mistral`: sliding window 16, " A" answer token, a raising template.
`gpt2`: learned positions and a template without any control token. Weights are large, so that
attention matters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

CheckpointName = Literal["llama", "qwen2", "gemma2", "mistral", "gpt2"]
CHECKPOINTS: tuple[CheckpointName, ...] = get_args(CheckpointName)

_CORPUS = (
    "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.",
    "Option A: the town plants four hundred trees. Option B: a clinic opens in the valley.",
    "You are a 44-year-old white woman from Ohio in the Midwest.",
    "You live in a large metropolitan area.",
    "You have a bachelor's degree. Your household income is $62,000 a year. You are married.",
    "At your table people said: For A: it saves lives. For B: it keeps people safe and free.",
    "You speak at your table about two possible outcomes. Give one short reason.",
    "User: Assistant: System:",
    "system user assistant model one two three four five six seven eight nine zero",
    "alpha beta gamma",
)

_CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system"
    "\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
_PLAIN = (
    "{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TURNS = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_TEMPLATES: dict[CheckpointName, str] = {
    "llama": _TURNS,
    "qwen2": _CHATML,
    "gemma2": _GEMMA,
    "mistral": _MISTRAL,
    "gpt2": _PLAIN,
}
# name -> (control tokens, bos, eos, pad); pad None exercises a tokenizer that has none
_CONTROLS: dict[CheckpointName, tuple[list[str], str | None, str, str | None]] = {
    "llama": (
        ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "[UNK]"],
        None,
        "<|end|>",
        "[PAD]",
    ),
    "qwen2": (["<|im_start|>", "<|im_end|>", "<|endoftext|>"], None, "<|im_end|>", "<|endoftext|>"),
    "gemma2": (["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>", "<pad>"),
    "mistral": (["<s>", "</s>"], "<s>", "</s>", None),
    "gpt2": (["<|endoftext|>"], None, "<|endoftext|>", None),
}


def _byte_level(controls: list[str]):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=560, special_tokens=controls, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(_CORPUS * 4, trainer)
    return tokenizer


def _word_piece(controls: list[str]):
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        _CORPUS * 4, trainers.WordPieceTrainer(vocab_size=500, special_tokens=controls)
    )
    tokenizer.add_tokens(
        [AddedToken(letter, single_word=True, normalized=False) for letter in "AB"]
    )
    return tokenizer


def make_tokenizer(name: CheckpointName):
    """The tokenizer of one family, chat template included."""
    from transformers import PreTrainedTokenizerFast

    controls, bos, eos, pad = _CONTROLS[name]
    controls = [*controls, pad] if pad and pad not in controls else controls
    build = _word_piece if name == "llama" else _byte_level
    chosen = {"bos_token": bos, "eos_token": eos, "pad_token": pad}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build(controls),
        additional_special_tokens=controls,
        **{key: value for key, value in chosen.items() if value},
        **({"unk_token": "[UNK]"} if "[UNK]" in controls else {}),
    )
    tokenizer.chat_template = _TEMPLATES[name]
    return tokenizer


def _configs() -> dict[CheckpointName, Callable[..., object]]:
    import transformers as t

    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.3,
    }
    return {
        "llama": lambda **k: t.LlamaConfig(**shape, **k),
        "qwen2": lambda **k: t.Qwen2Config(**shape, tie_word_embeddings=True, **k),
        "gemma2": lambda **k: t.Gemma2Config(
            **shape,
            head_dim=8,
            sliding_window=16,
            final_logit_softcapping=2.0,
            query_pre_attn_scalar=8,
            **k,
        ),
        "mistral": lambda **k: t.MistralConfig(**shape, sliding_window=16, **k),
        "gpt2": lambda **k: t.GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=1024, initializer_range=0.3, **k
        ),
    }


def make_checkpoint(name: CheckpointName, folder: Path) -> Path:
    """Write config, random weights and tokenizer into `folder`; the same bytes every time."""
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = make_tokenizer(name)
    ids = {
        f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")
    }
    config = _configs()[name](vocab_size=len(tokenizer), **ids)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
