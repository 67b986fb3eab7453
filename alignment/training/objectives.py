"""Training objectives, where a new one is added: soft labels, SFT, sampled answers, DPO, IPO.

Shapes: B rows; column 0 is the label of the outcome shown first, column 1 the other one. The pair
losses are those of TRL's `DPOTrainer` on a completion that is only the label; here both answers are
read from one pass over their common prompt, and each row can have a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import logsigmoid

from plenary.training_rows import SoftRow, pair_places, with_target

Shape = Callable[[Sequence[SoftRow], np.random.Generator], list[SoftRow]]
# log P of both labels [B, 2] for the model and for its base, target p [B], beta -> loss [B], nats
RowLoss = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def vote_shares(rows: Sequence[SoftRow], rng: np.random.Generator) -> list[SoftRow]:
    """The targets unchanged: the assembly's distribution."""
    return list(rows)


def majority_answers(rows: Sequence[SoftRow], rng: np.random.Generator) -> list[SoftRow]:
    """Each row's majority answer with certainty; ties (p = 0.5) have none and get weight 0."""
    return [
        with_target(row, float(row["target_p"] > 0.5), row["weight"] * (row["target_p"] != 0.5))
        for row in rows
    ]


def sampled_answers(rows: Sequence[SoftRow], rng: np.random.Generator) -> list[SoftRow]:
    """One answer per pair, drawn from its shares and given in all of its rows."""
    places = pair_places(rows)
    drawn = rng.random(places.max(initial=-1) + 1)[places]
    answers = []
    for row, at in zip(rows, drawn.tolist(), strict=True):
        p, swapped = row["target_p"], bool(row.get("swapped"))
        first = at < (1 - p if swapped else p)
        answers.append(with_target(row, float(first != swapped), row["weight"]))
    return answers


def decisive_answers(rows: Sequence[SoftRow], rng: np.random.Generator) -> list[SoftRow]:
    """Majority answers; a row's weight falls with |2p - 1| to 0 at a tie."""
    return [
        with_target(row, float(row["target_p"] > 0.5), row["weight"] * abs(2 * row["target_p"] - 1))
        for row in rows
    ]


def cross_entropy(log_p: Tensor, base: Tensor, target_p: Tensor, beta: float) -> Tensor:
    """-(p log P(first) + (1 - p) log P(second)), over the whole vocabulary."""
    return -(target_p * log_p[:, 0] + (1 - target_p) * log_p[:, 1])


def _gain(log_p: Tensor, base: Tensor, target_p: Tensor) -> Tensor:
    """How far the log odds of the preferred label [B] rose above the base model's."""
    gained = log_p - base
    return (2 * target_p - 1) * (gained[:, 0] - gained[:, 1])


def dpo_loss(log_p: Tensor, base: Tensor, target_p: Tensor, beta: float) -> Tensor:
    """Rafailov et al. (2023) [rafailov2023], equation 7; target_p is 0 or 1."""
    return -logsigmoid(beta * _gain(log_p, base, target_p))


def ipo_loss(log_p: Tensor, base: Tensor, target_p: Tensor, beta: float) -> Tensor:
    """Azar et al. (2023) [azar2023], equation 17; target_p is 0 or 1, beta their tau."""
    return (_gain(log_p, base, target_p) - 1 / (2 * beta)) ** 2


@dataclass(frozen=True, slots=True)
class Objective:
    """How targets become answers, the loss, and whether it uses the base model's answers."""

    shape: Shape
    loss: RowLoss
    against_base: bool = False


OBJECTIVES: dict[str, Objective] = {
    "soft_sft": Objective(vote_shares, cross_entropy),
    "sft": Objective(majority_answers, cross_entropy),
    "sft_sampled": Objective(sampled_answers, cross_entropy),
    "dpo": Objective(decisive_answers, dpo_loss, against_base=True),
    "ipo": Objective(decisive_answers, ipo_loss, against_base=True),
}
