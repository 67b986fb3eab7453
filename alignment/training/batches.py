"""Batches: padding answer rows, label log-probabilities, and the KL penalties from logits.

Shapes: B rows, N sequences, T tokens, V vocabulary, J label tokens read, W the last positions of a
sequence whose logits are computed. Labels of one token are read from one sequence per row, which
ends where the answer starts; labels of several tokens from one sequence each, which ends before
their last token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from alignment.training.examples import AnswerRow
from plenary.models.local.padding import pad


class Padded(NamedTuple):
    """Left-padded [N, T]: token ids, 1 for a real token, position counted from the first one."""

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor


class LabelToken(NamedTuple):
    """One label token: its sequence, logits position from the end, id, and 2 * row + label."""

    sequence: int
    back: int
    token: int
    slot: int


def pad_left(sequences: Sequence[Sequence[int]]) -> Padded:
    """Right-align token sequences. Padding is masked out, so its token id (0) has no effect."""
    ids, mask = pad(sequences, left=True)
    return Padded(ids, mask, (mask.cumsum(1) - 1).clamp(min=0))


def collate(rows: Sequence[AnswerRow], share: float | None = None) -> dict[str, Tensor]:
    """Batch: `Padded` fields [N, T], reads [J, 4], starts [B, 4]; target_p, weight, share [B].

    starts: sequence and position from the end where the answer starts, first token of each label.
    share: of each row in its step's loss; by default these rows are the whole step.
    """
    sequences, reads, starts = list[list[int]](), list[LabelToken](), list[list[int]]()
    for row, content in enumerate(rows):
        labels = content["label_ids"]
        apart = max(map(len, labels)) > 1
        starts.append([len(sequences), len(labels[0]) - 1, labels[0][0], labels[1][0]])
        for label, tokens in enumerate(labels):
            if apart or label == 0:
                sequences.append([*content["input_ids"], *tokens[:-1]])
            for at, token in enumerate(tokens):
                slot = 2 * row + label
                reads.append(LabelToken(len(sequences) - 1, len(tokens) - 1 - at, token, slot))
    return {
        **pad_left(sequences)._asdict(),
        "reads": torch.tensor(reads),
        "starts": torch.tensor(starts),
        "target_p": torch.tensor([row["target_p"] for row in rows], dtype=torch.float32),
        "weight": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
        "share": torch.full((len(rows),), 1 / len(rows) if share is None else share),
    }


def logits_needed(batch: dict[str, Tensor]) -> int:
    """W: the number of last positions at which a batch's logits are read."""
    return int(batch["reads"][:, 1].max()) + 1


def label_log_probs(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Log-probability [B, 2] of each label's token sequence, from logits [N, W, V]."""
    sequence, back, token, slot = batch["reads"].unbind(1)
    logits, at = logits.float(), logits.shape[1] - 1 - back
    found = logits[sequence, at, token] - logits.logsumexp(-1)[sequence, at]
    rows = len(batch["weight"])
    return found.new_zeros(2 * rows).index_add(0, slot, found).view(rows, 2)


def retention_kl(reference: Tensor, logits: Tensor) -> Tensor:
    """Mean KL(reference || model), nats, over positions [M, V]; 0 is an unchanged model."""
    before, after = reference.float().log_softmax(-1), logits.float().log_softmax(-1)
    return nn.functional.kl_div(after, before, reduction="none", log_target=True).sum(-1).mean()


def rest_kl(reference: Tensor, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """KL(reference || model), nats, where the answer starts, with both labels merged into one word.

    Summed over the rows by their share in the step. logits [N, W, V]. It does not depend on which
    label is answered: 0 is a model whose answer mass and other words are unchanged. Labels of
    several tokens count by their first token.
    """
    sequence, back, *first = batch["starts"].unbind(1)
    labels = torch.stack(first, 1)
    kept = [each[sequence, each.shape[1] - 1 - back] for each in (reference, logits)]
    before, after = (each.float().log_softmax(-1) for each in kept)
    words = (before.exp() * (before - after)).scatter(1, labels, 0.0).sum(-1)
    # Labels that begin with the same token are one word: its mass counts once.
    twice = torch.where(labels[:, 0] == labels[:, 1], math.log(2), 0.0)
    was, now = (each.gather(1, labels).logsumexp(-1) - twice for each in (before, after))
    return batch["share"] @ (words + was.exp() * (was - now))
