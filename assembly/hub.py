"""Door to Hugging Face `datasets`."""

from __future__ import annotations

from datasets import Dataset, DatasetDict
from datasets.table import InMemoryTable

from assembly.dataset import SPLITS, ConsensusDataset


def to_datasets(dataset: ConsensusDataset) -> DatasetDict:
    """One `datasets.Dataset` a split, with the columns of docs/data/consensus.md."""
    table, sides = dataset.table(), dataset.split
    return DatasetDict(
        {
            split: Dataset(
                InMemoryTable(table.take([k for k, side in enumerate(sides) if side == split]))
            )
            for split in SPLITS
        }
    )
