"""Tokenizer and word vectors of the embedded model, derived from the MiniLM encoder.

The WordPiece vocabulary is pruned to common ASCII pieces. A piece's vector joins what the encoder
stores for it and what it makes of it as a text, each reduced by principal components, so that
words outside the grammar stand near words inside it. The vectors are frozen and tied.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from plenary.preferences import FloatArray

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
END, PAD, UNKNOWN = "<|end|>", "<|pad|>", "[UNK]"
LABELS = ("A", "B")
LAST_PIECE = 19_000
ROW_NORM = 0.6
STORED = "0.auto_model.embeddings.word_embeddings.weight"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def pruned_vocabulary(encoder: Path) -> dict[str, int]:
    """Kept pieces with their ids in the encoder's vocabulary."""
    pieces = (encoder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    plain = re.compile(r"(##)?[a-z0-9!-/:-@\[-`{-~]+")
    kept = {
        p: k
        for k, p in enumerate(pieces[:LAST_PIECE])
        if plain.fullmatch(p) and not p.startswith("[unused")
    }
    return {UNKNOWN: pieces.index(UNKNOWN), **kept}


def build_tokenizer(pieces: list[str]) -> PreTrainedTokenizerFast:
    """Lower-casing WordPiece with role tokens and the two answer labels as tokens of their own."""
    specials = [PAD, END, *ROLES]
    vocabulary = {piece: k for k, piece in enumerate([*specials, *pieces])}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.Sequence(
        [
            decoders.WordPiece(cleanup=True),
            decoders.Fuse(),
            decoders.Replace("$ ", "$"),
            decoders.Replace(" ' ", "'"),
            decoders.Replace(" - ", "-"),
        ]
    )
    core.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in specials]
    )
    core.add_tokens([AddedToken(label, single_word=True, normalized=False) for label in LABELS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=1024,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _reduced(rows: FloatArray, width: int) -> FloatArray:
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred[:: max(1, len(centred) // 8000)], full_matrices=False)
    reduced = centred @ directions[:width].T
    return reduced / np.linalg.norm(reduced, axis=1, keepdims=True).clip(1e-6)


def word_vectors(
    encoder: Path, kept: dict[str, int], width: int, rng: np.random.Generator
) -> torch.Tensor:
    """Vectors [specials + pieces + labels, width] in the order of the tokenizer's ids."""
    model = SentenceTransformer(str(encoder), device="cpu")
    stored = model.get_parameter(STORED).detach().numpy()[list(kept.values())]
    texts = [piece.removeprefix("##") for piece in kept]
    made = model.encode(texts, batch_size=256, show_progress_bar=False)
    half = width // 2
    rows = np.concatenate(
        [_reduced(stored, half), _reduced(np.asarray(made), width - half)], axis=1
    )
    extra = rng.normal(size=(2 + len(ROLES) + len(LABELS), width))
    specials, labels = extra[: 2 + len(ROLES)], extra[2 + len(ROLES) :]
    table = np.concatenate([specials, rows, labels])
    table *= ROW_NORM / np.linalg.norm(table, axis=1, keepdims=True)
    return torch.tensor(table, dtype=torch.float32)


def write_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the tokenizer with its chat template inside tokenizer_config.json."""
    tokenizer.save_pretrained(folder)
    template = folder / "chat_template.jinja"
    if template.exists():
        path = folder / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["chat_template"] = template.read_text(encoding="utf-8")
        path.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        template.unlink()
