"""Training rows for trl (SFT, DPO) from a consensus dataset, and it as Hugging Face `datasets`.

Every pair appears in both presentation orders and in each template, so that the position of an
option teaches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from datasets import Dataset, DatasetDict, DatasetInfo
from datasets.table import InMemoryTable

from assembly.dataset.consensus_dataset import PLAIN, SPLITS, ConsensusDataset
from plenary.prompt_templates import PromptTemplate
from plenary.training_rows import SoftRow, Turn


class SftRow(TypedDict):
    """Prompt and completion of trl's SFTTrainer; the completion is the majority's label."""

    prompt: list[Turn]
    completion: list[Turn]


class DpoRow(TypedDict):
    """Prompt, chosen and rejected completion of trl's DPOTrainer."""

    prompt: list[Turn]
    chosen: list[Turn]
    rejected: list[Turn]


def to_sft(
    dataset: ConsensusDataset, templates: Sequence[PromptTemplate] = PLAIN, split: str = "train"
) -> list[SftRow]:
    """Rows with the label of the majority side; ties are left out, as they have none."""
    return [
        SftRow(prompt=row["prompt"], completion=_said(row, preferred=True))
        for row in dataset.to_soft(templates, split)
        if row["target_p"] != 0.5
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
            prompt=row["prompt"],
            chosen=_said(row, preferred=True),
            rejected=_said(row, preferred=False),
        )
        for row in dataset.to_soft(templates, split)
        if row["target_p"] != 0.5
    ]


def _said(row: SoftRow, *, preferred: bool) -> list[Turn]:
    """The label of the preferred side, or of the other one."""
    second = (row["target_p"] < 0.5) == preferred
    return [Turn(role="assistant", content=row["labels"][second])]


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
