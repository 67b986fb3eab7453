"""Training the embedded model: soft choices, spoken words, and heads used in training only.

Without the heads the comparison of two outcomes takes very long to appear, and the product of a
persona's weights with an outcome's attributes does not appear at all (docs/decisions/0001).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from plenary.embedded.corpus import Corpus, Pack
from plenary.embedded.values import DIMENSIONS

WIDTH, LAYERS, HEADS, INNER = 128, 6, 4, 384
READ_LAYER, JOIN_LAYER = 3, 4
FINAL_GAIN = 3.0
SORTED = 4


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast the model is trained."""

    reading_steps: int = 1000
    steps: int = 5000
    packs: int = 20
    length: int = 160
    learning_rate: float = 2e-3
    warm_up: int = 150
    flat: float = 0.3
    weight_decay: float = 0.05
    noise: float = 0.2
    report_every: int = 100
    seed: int = 0


class Heads(nn.Module):
    """Linear read-outs of what the model should know at each place."""

    def __init__(self) -> None:
        super().__init__()
        size = len(DIMENSIONS)
        self.attributes = nn.Linear(WIDTH, 2 * size)
        self.weights = nn.Linear(WIDTH, size)
        self.side = nn.Linear(WIDTH, 1)
        self.joined = nn.Linear(WIDTH, 3 * size)
        self.products = nn.Linear(WIDTH, size + 1)


class Batch(NamedTuple):
    """Packs as tensors: ids, positions [B, T], mask [B, 1, T, T], flat places and their targets."""

    ids: Tensor
    positions: Tensor
    mask: Tensor
    answers: Tensor
    answer_p: Tensor
    joined: Tensor
    products: Tensor
    planted: Tensor
    option_ends: Tensor
    attributes: Tensor
    persona_ends: Tensor
    weights: Tensor
    argument_ends: Tensor
    sides: Tensor
    spoken: Tensor
    words: Tensor


def new_model(vectors: Tensor) -> LlamaForCausalLM:
    """An untrained model around frozen word vectors [V, WIDTH]."""
    config = LlamaConfig(
        vocab_size=len(vectors), hidden_size=WIDTH, intermediate_size=INNER,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
        max_position_embeddings=1024, tie_word_embeddings=True, rms_norm_eps=1e-5,
        pad_token_id=0, bos_token_id=None, eos_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(vectors)
        model.model.norm.weight.fill_(FINAL_GAIN)
    model.model.embed_tokens.weight.requires_grad_(False)
    return model


def _mask(packs: list[Pack], width: int) -> Tensor:
    numbers = np.full((len(packs), width), -1)
    for row, pack in enumerate(packs):
        numbers[row, : len(pack.questions)] = pack.questions
    number = torch.tensor(numbers)
    keys, queries = number[:, None, :], number[:, :, None]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    allowed = ((keys == 0) | (keys == queries)) & causal & (keys >= 0)
    allowed |= torch.eye(width, dtype=torch.bool)
    return torch.where(allowed[:, None], 0.0, torch.finfo(torch.float32).min)


def collate(packs: list[Pack]) -> Batch:
    """Tensors of a batch of packs."""
    width = max(len(p.ids) for p in packs)
    ids, positions = np.zeros((2, len(packs), width), dtype=np.int64)
    for row, pack in enumerate(packs):
        ids[row, : len(pack.ids)] = pack.ids
        positions[row, : len(pack.ids)] = pack.positions
    flat = [(row * width, pack) for row, pack in enumerate(packs)]
    answers = [a._replace(place=base + a.place) for base, p in flat for a in p.answers]
    ends = [(base + place, values) for base, p in flat for place, values in p.option_ends]
    people = [(base + p.persona_end[0], p.persona_end[1]) for base, p in flat if p.persona_end]
    arguments = [(base + place, side) for base, p in flat for place, side in p.argument_ends]
    spoken = [(base + place, word) for base, p in flat for place, word in p.spoken]

    def floats(rows: list) -> Tensor:
        return torch.tensor(np.array(rows, dtype=np.float32))

    def vectors(rows: list, width: int = len(DIMENSIONS)) -> Tensor:
        return floats(rows).reshape(len(rows), width)

    def places(rows: list) -> Tensor:
        return torch.tensor([row[0] for row in rows], dtype=torch.long)

    size = len(DIMENSIONS)
    joined = [np.concatenate([a.weights, a.first, a.second]) for a in answers]
    products = [np.concatenate([a.weights * (a.first - a.second), [a.shift]]) for a in answers]
    return Batch(
        torch.tensor(ids), torch.tensor(positions), _mask(packs, width),
        places(answers), floats([a.p_first for a in answers]),
        vectors(joined, 3 * size), vectors(products, size + 1),
        torch.tensor([a.planted for a in answers], dtype=torch.bool),
        places(ends), vectors([e[1] for e in ends]),
        places(people), vectors([w for _, w in people]),
        places(arguments), floats([s for _, s in arguments]),
        places(spoken), torch.tensor([word for _, word in spoken], dtype=torch.long),
    )  # fmt: skip


def _embedded(model: LlamaForCausalLM, batch: Batch, noise: float) -> Tensor:
    inputs = model.model.embed_tokens(batch.ids)
    return inputs + torch.randn_like(inputs) * noise * inputs.std() if noise else inputs


def _read_parts(heads: Heads, read: Tensor, batch: Batch) -> dict[str, Tensor]:
    both = torch.cat([batch.attributes, batch.attributes.abs()], dim=1)
    parts = {"attributes": F.mse_loss(heads.attributes(read[batch.option_ends]), both)}
    if len(batch.persona_ends):
        parts["weights"] = F.mse_loss(heads.weights(read[batch.persona_ends]), batch.weights)
    return parts


def reading_losses(
    model: LlamaForCausalLM, heads: Heads, batch: Batch, noise: float
) -> dict[str, Tensor]:
    """What the lower layers alone should know: an outcome's attributes, a persona's weights."""
    hidden = _embedded(model, batch, noise)
    rotary = model.model.rotary_emb(hidden, batch.positions)
    for layer in model.model.layers[:READ_LAYER]:
        hidden = layer(
            hidden,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            position_embeddings=rotary,
        )
    return _read_parts(heads, hidden.reshape(-1, WIDTH), batch)


def losses(
    model: LlamaForCausalLM, heads: Heads, batch: Batch, labels: Tensor, noise: float
) -> dict[str, Tensor]:
    """Parts of the loss: choice and speech on the full vocabulary, heads by squared error."""
    out = model.model(
        inputs_embeds=_embedded(model, batch, noise), attention_mask=batch.mask,
        position_ids=batch.positions, output_hidden_states=True, use_cache=False,
    )  # fmt: skip
    read, join, last = (
        h.reshape(-1, WIDTH)
        for h in (
            out.hidden_states[READ_LAYER],
            out.hidden_states[JOIN_LAYER],
            out.last_hidden_state,
        )
    )
    logp = F.log_softmax(model.lm_head(last[batch.answers]), dim=-1)[:, labels]
    target = torch.stack([batch.answer_p, 1 - batch.answer_p], dim=1)
    entropy = -(target * target.clamp_min(1e-6).log()).sum(dim=1)
    parts = {"choice": (-(target * logp).sum(dim=1) - entropy).mean()}
    if len(batch.spoken):
        parts["speech"] = F.cross_entropy(model.lm_head(last[batch.spoken]), batch.words)
    parts |= _read_parts(heads, read, batch)
    planted = batch.answers[batch.planted]
    parts["joined"] = F.mse_loss(heads.joined(join[planted]), batch.joined[batch.planted])
    parts["products"] = F.mse_loss(heads.products(last[planted]), batch.products[batch.planted])
    if len(batch.argument_ends):
        parts["side"] = F.mse_loss(heads.side(read[batch.argument_ends]).squeeze(1), batch.sides)
    return parts


LOSS_WEIGHTS = {
    "choice": 2.0, "speech": 0.25, "attributes": 10.0, "joined": 5.0, "products": 5.0,
    "weights": 5.0, "side": 0.3,
}  # fmt: skip


def _optimizer(model: LlamaForCausalLM, heads: Heads, recipe: Recipe) -> torch.optim.Optimizer:
    norms = [p for n, p in model.named_parameters() if p.requires_grad and p.ndim == 1]
    matrices = [p for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
    fast = {"lr": 3 * recipe.learning_rate, "weight_decay": 0.0}
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay, "lr": recipe.learning_rate},
              {"params": norms, **fast}, {"params": list(heads.parameters()), **fast}]  # fmt: skip
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def _rate(step: int, recipe: Recipe) -> float:
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    progress = ((step - recipe.reading_steps) / recipe.steps - recipe.flat) / (1 - recipe.flat)
    return 1.0 if progress < 0 else max(0.5 * (1 + math.cos(math.pi * min(progress, 1.0))), 0.01)


def _batches(corpus: Corpus, recipe: Recipe) -> Iterator[Batch]:
    """Batches of packs of like length, so that little is padded; first those only read."""
    for start in range(-recipe.reading_steps, recipe.steps, SORTED):
        draw = corpus.reading_pack if start < 0 else partial(corpus.pack, start / recipe.steps)
        packs = sorted(
            (draw() for _ in range(SORTED * recipe.packs)), key=lambda pack: len(pack.ids)
        )
        for k in corpus.rng.permutation(SORTED):
            yield collate(packs[k * recipe.packs : (k + 1) * recipe.packs])


def train(
    vectors: Tensor,
    corpus: Corpus,
    labels: tuple[int, int],
    recipe: Recipe,
    report: Callable[[int, dict[str, float], LlamaForCausalLM], None],
) -> LlamaForCausalLM:
    """Train from scratch; `report` gets step, mean loss parts since the last report, and model."""
    torch.manual_seed(recipe.seed)
    model, heads = new_model(vectors), Heads()
    optimizer = _optimizer(model, heads, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    answer_ids = torch.tensor(labels)
    sums: dict[str, list[float]] = {}
    for step, batch in enumerate(_batches(corpus, recipe)):
        noise = recipe.noise if corpus.rng.random() < 0.6 else 0.0
        with torch.autocast("cpu", torch.bfloat16):
            if step < recipe.reading_steps:
                parts = reading_losses(model, heads, batch, noise)
            else:
                parts = losses(model, heads, batch, answer_ids, noise)
        total = torch.stack([LOSS_WEIGHTS[name] * value for name, value in parts.items()]).sum()
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], 1.0)
        optimizer.step()
        schedule.step()
        for name, value in parts.items():
            sums.setdefault(name, []).append(float(value.detach()))
        if (step + 1) % recipe.report_every == 0:
            report(step + 1, {name: float(np.mean(values)) for name, values in sums.items()}, model)
            sums = {}
    return model.eval()
