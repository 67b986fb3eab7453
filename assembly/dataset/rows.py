"""Training rows from a consensus dataset, in trl's conversational formats (SFT, soft, DPO).

Every pair appears in both presentation orders and in each template, so that the position of an
option teaches nothing. Shapes: P pairs, F templates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
from datasets import Dataset, DatasetDict, DatasetInfo
from datasets.table import InMemoryTable

from assembly.dataset.consensus_dataset import SPLITS, ConsensusDataset
from plenary.errors import ConfigError
from plenary.models.base import Conversation
from plenary.prompt_templates import PROMPT_TEMPLATES, PromptTemplate, question

PLAIN = (PROMPT_TEMPLATES["plain"],)


class Turn(TypedDict):
    """One message."""

    role: str
    content: str


class SftRow(TypedDict):
    """Prompt and completion of trl's SFTTrainer; the completion is the majority's label."""

    prompt: list[Turn]
    completion: list[Turn]


class SoftRow(TypedDict):
    """A prompt, its two labels, and the target probability of the first one.

    weight is the effective number of votes, scaled to mean 1 over the rows.
    """

    prompt: list[Turn]
    labels: list[str]
    target_p: float
    weight: float


class DpoRow(TypedDict):
    """Prompt, chosen and rejected completion of trl's DPOTrainer."""

    prompt: list[Turn]
    chosen: list[Turn]
    rejected: list[Turn]


class _Asked(NamedTuple):
    prompt: list[Turn]
    labels: tuple[str, str]
    p: float
    weight: float


def to_soft(
    dataset: ConsensusDataset, templates: Sequence[PromptTemplate] = PLAIN, split: str = "train"
) -> list[SoftRow]:
    """Rows [P * F * 2] with the weighted share as target; pairs without a label are left out."""
    asked = list(_asked(dataset, templates, split))
    scale = float(np.mean([one.weight for one in asked])) if asked else 1.0
    return [
        SoftRow(
            prompt=one.prompt, labels=list(one.labels), target_p=one.p, weight=one.weight / scale
        )
        for one in asked
    ]


def to_sft(
    dataset: ConsensusDataset, templates: Sequence[PromptTemplate] = PLAIN, split: str = "train"
) -> list[SftRow]:
    """Rows with the label of the majority side; ties are left out, as they have none."""
    return [
        SftRow(prompt=one.prompt, completion=_said(one.labels[int(one.p < 0.5)]))
        for one in _asked(dataset, templates, split)
        if one.p != 0.5
    ]


def to_dpo(
    dataset: ConsensusDataset, templates: Sequence[PromptTemplate] = PLAIN, split: str = "train"
) -> list[DpoRow]:
    """Rows with the preferred and the other label; ties are left out.

    DPO ignores the share: a pair at .51 counts the same as one at .99 (docs/references.md,
    alignment).
    """
    return [
        DpoRow(
            prompt=one.prompt,
            chosen=_said(one.labels[int(one.p < 0.5)]),
            rejected=_said(one.labels[int(one.p > 0.5)]),
        )
        for one in _asked(dataset, templates, split)
        if one.p != 0.5
    ]


def _asked(
    dataset: ConsensusDataset, templates: Sequence[PromptTemplate], split: str
) -> Iterator[_Asked]:
    kept = [template.id for template in templates if split == "train" and not template.trainable]
    if kept:
        raise ConfigError(f"template {kept[0]!r} is held out for evaluation; train on another")
    for k in np.flatnonzero(~np.isnan(dataset.p)).tolist():
        if dataset.split[k] != split:
            continue
        a, b = dataset.first_text[k], dataset.second_text[k]
        p, weight = float(dataset.p[k]), float(dataset.effective_n[k])
        for template in templates:
            labels = (template.labels[0], template.labels[1])
            yield _Asked(_turns(question(template, a, b)), labels, p, weight)
            yield _Asked(_turns(question(template, b, a)), labels, 1.0 - p, weight)


def _turns(conversation: Conversation) -> list[Turn]:
    return [Turn(role=message.role, content=message.content) for message in conversation]


def _said(label: str) -> list[Turn]:
    return [Turn(role="assistant", content=label)]


def to_datasets(dataset: ConsensusDataset) -> DatasetDict:
    """One `datasets.Dataset` per split, with the columns of docs/data/consensus.md."""
    table, sides = dataset.table(), dataset.split
    return DatasetDict(
        {
            split: Dataset(
                InMemoryTable(table.take([k for k, side in enumerate(sides) if side == split]))
            )
            for split in SPLITS
        }
    )


def rows_by_split(
    dataset: ConsensusDataset,
    make: Callable[..., Sequence[Mapping[str, object]]],
    templates: Sequence[PromptTemplate],
    facts: Mapping[str, object],
) -> DatasetDict:
    """Rows as one of the makers above gives them, for both splits.

    facts: what is known of all rows, kept as JSON in `info.description`; `facts_of` reads it back.
    """
    rows = {split: list(make(dataset, templates, split)) for split in SPLITS}
    names = next((list(some[0]) for some in rows.values() if some), [])
    info = DatasetInfo(description=json.dumps(dict(facts)))
    return DatasetDict(
        {
            split: Dataset.from_dict(
                {name: [row[name] for row in some] for name in names}, info=info
            )
            for split, some in rows.items()
        }
    )


def facts_of(dataset: object) -> dict[str, object]:
    """The facts that `rows_by_split` kept with its rows; nothing for rows of other origin."""
    try:
        told = json.loads(dataset.info.description) if isinstance(dataset, Dataset) else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
