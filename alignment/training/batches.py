"""Batches: rows as tokens, batches of them and their steps, label log-probabilities, KL penalties.

Shapes: B rows, N sequences, T tokens, V vocabulary, J label tokens read, W the last positions of a
sequence whose logits are computed. Labels of one token are read from one sequence per row, which
ends where the answer starts; labels of several tokens from one sequence each, which ends before
their last token. A step's rows are the same whatever the micro-batch and the number of processes
(gradient accumulation): each row is computed once and has the same share in the step's loss, so
that the gradient is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.utils.data import Dataset

from alignment.training.settings import AlignmentSettings
from plenary.errors import DataError
from plenary.models.base import Conversation, Message
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.padding import pad
from plenary.prompt_templates import LABELS
from plenary.training_rows import SoftRow

T = TypeVar("T")


class AnswerRow(TypedDict):
    """One forced choice up to its answer: label_ids are the tokens of each label there."""

    input_ids: list[int]
    label_ids: list[list[int]]
    target_p: float
    weight: float


class ReplayRow(NamedTuple):
    """One replay text: predictions at the last `scored` positions of input_ids are preserved."""

    input_ids: list[int]
    scored: int


def encode_answers(
    renderer: ChatRenderer, rows: Sequence[SoftRow], longest: int
) -> list[AnswerRow]:
    """Token rows cut where the answer starts; DataError when one exceeds `longest` tokens."""
    return [_answer_row(renderer, row, longest) for row in rows]


def _answer_row(renderer: ChatRenderer, row: SoftRow, longest: int) -> AnswerRow:
    asked = tuple(Message(**turn) for turn in row["prompt"])
    (ids,), (answer,) = renderer.answer_prompts([asked], tuple(row["labels"]))
    labels = [list(tokens) for tokens in answer.labels[:2]]
    _fitting([*ids.tolist(), *max(labels, key=len)], longest)
    return AnswerRow(
        input_ids=ids.tolist(),
        label_ids=labels,
        target_p=row["target_p"],
        weight=row["weight"],
    )


def encode_replay(
    renderer: ChatRenderer, conversations: Sequence[Conversation], longest: int
) -> list[ReplayRow]:
    """Replay rows, preserving the next token after a user message, else the whole last message."""
    return [_replay_row(renderer, conversation, longest) for conversation in conversations]


def _replay_row(renderer: ChatRenderer, conversation: Conversation, longest: int) -> ReplayRow:
    if not conversation:
        raise DataError("replay conversation () has no message; give at least a user message")
    last = conversation[-1]
    if last.role != "assistant":
        ids = renderer.answer_prompts([conversation], LABELS).rows[0].tolist()
        return ReplayRow(_fitting(ids, longest, "replay texts"), 1)
    reply = renderer.clean(last.content)
    # The renderer finds where a reply starts by comparison with another reply.
    other = "B" if reply.startswith("A") else "A"
    prompts = renderer.answer_prompts([conversation[:-1]], (reply, other))
    kept = prompts.answers[0].labels[0]
    ids = [*prompts.rows[0].tolist(), *kept]
    return ReplayRow(_fitting(ids, longest, "replay texts"), len(kept) + 1)


def _fitting(ids: list[int], longest: int, what: str = "outcomes") -> list[int]:
    if len(ids) > longest:
        raise DataError(
            f"prompt of {len(ids)!r} tokens and the model holds {longest!r}; shorten the {what}"
        )
    return ids


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


class BatchPlan(NamedTuple):
    """Most rows that a process computes together, and how many such batches make a step."""

    rows: int
    accumulated: int


def batch_plan(settings: AlignmentSettings) -> BatchPlan:
    """How a step's rows are divided among this launch's processes."""
    processes = PartialState().num_processes
    rows = min(settings.micro_batch or settings.batch, math.ceil(settings.batch / processes))
    return BatchPlan(rows, math.ceil(settings.batch / (rows * processes)))


def steps_of(settings: AlignmentSettings, rows: int) -> int:
    """Optimizer steps of a run over that many rows."""
    return max(1, math.ceil(settings.epochs * math.ceil(rows / settings.batch)))


def spread(items: Sequence[T], parts: int) -> list[Sequence[T]]:
    """The items in order in `parts` parts, whose sizes differ by at most one."""
    count = len(items)
    return [items[k * count // parts : (k + 1) * count // parts] for k in range(parts)]


class Portions(Dataset[dict[str, Tensor | tuple[int, int]]]):
    """All batches that one process computes in a run, in order, `accumulated` of them per step.

    A process without a row computes one with share 0 if others have some, since all processes must
    take part in each backward pass. `part` of a batch is its place among the parts of its step, and
    how many there are.
    """

    def __init__(self, rows: Sequence[AnswerRow], settings: AlignmentSettings, seed: int) -> None:
        self.rows, self.settings, self.seed = rows, settings, seed
        self.plan, self.here = batch_plan(settings), PartialState()
        self._drawn: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return steps_of(self.settings, len(self.rows)) * self.plan.accumulated

    def __getitem__(self, at: int) -> dict[str, Tensor | tuple[int, int]]:
        step, turn = divmod(at, self.plan.accumulated)
        parts = self.plan.accumulated * self.here.num_processes
        part = turn * self.here.num_processes + self.here.process_index
        of_step = self._of_step(step)
        mine, share = spread(of_step, parts)[part], 1 / len(of_step)
        if not mine:
            mine, share = of_step[:1], 0.0
        return {**collate([self.rows[k] for k in mine], share), "part": (part, parts)}

    def _of_step(self, step: int) -> Sequence[int]:
        epoch, turn = divmod(step, math.ceil(len(self.rows) / self.settings.batch))
        if self._drawn[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed + epoch)
            self._drawn = (epoch, torch.randperm(len(self.rows), generator=generator).tolist())
        return self._drawn[1][turn * self.settings.batch :][: self.settings.batch]


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
