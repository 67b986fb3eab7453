"""Rebound (relearning): fine-tuning an adapter on neutral text to see how much is undone.

Source: docs/references.md, key evaluation (section 4, rebound).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

from alignment.training.adapter import check_adapter, save_adapter
from alignment.training.batches import ReplayRow
from alignment.training.live import LiveModel
from plenary.errors import ConvergenceError
from plenary.models.base import Conversation
from plenary.seeding import generator


def neutral_finetune(
    path: Path,
    adapter: Path,
    texts: Sequence[Conversation],
    output: Path,
    seed: int,
    *,
    steps: int,
    batch: int = 16,
    learning_rate: float | None = None,
    day: date | None = None,
) -> Path:
    """Continue training the adapter for `steps` on the replies of `texts`, and save it to `output`.

    Plain cross-entropy without any penalty toward the base model; the learning rate is the
    adapter's own unless given. Same inputs and seed give the same weights on one machine.
    """
    manifest = check_adapter(adapter, path)
    live = LiveModel(path, adapter, trainable=True, day=day)
    rows = live.encode(texts)
    rate = manifest.settings.learning_rate if learning_rate is None else learning_rate
    trained = [weight for weight in live.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    for step in range(steps):
        rng = generator(seed, "neutral", step)
        drawn = rng.choice(len(rows), size=min(batch, len(rows)), replace=False)
        loss = reply_loss(live, [rows[k] for k in drawn])
        if not math.isfinite(loss.item()):
            raise ConvergenceError(f"loss {loss.item()!r} at step {step}; lower the learning rate")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    output.mkdir(parents=True, exist_ok=True)
    save_adapter(live.model, output, path, manifest.base_sha256, manifest.settings, seed)
    return output


def reply_loss(live: LiveModel, rows: Sequence[ReplayRow]) -> Tensor:
    """Mean cross-entropy, nats, over the reply tokens of all rows."""
    logits = live.logits(rows)
    kept = [row for row in rows if row.scored > 1]
    at = [k for k, row in enumerate(rows) if row.scored > 1]
    said = torch.cat([logits[k, -row.scored : -1] for k, row in zip(at, kept, strict=True)]).float()
    wanted = [token for row in kept for token in row.input_ids[1 - row.scored :]]
    return nn.functional.cross_entropy(said, torch.tensor(wanted, device=said.device))
