"""A panel, its assembly and a consensus dataset, without training: 90 seconds on two cores.

Run: python examples/dataset_only.py [FOLDER]
"""

import sys
from pathlib import Path

from datasets import load_dataset

from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
config = load_config("dataset_only", [*sys.argv[2:], "name=dataset"])
run = run_stages(config, folder, "resume", ASSEMBLY_STAGES, NullWatcher())
labels = load_dataset("parquet", data_files=str(run.file("dataset/train.parquet")))["train"]
print(f"{len(labels)} pairs to train on; columns: {', '.join(labels.column_names[:9])}, ...")
for row in labels.select(range(3)).to_list():
    print(f"{row['p']:.2f} ({row['low']:.2f}..{row['high']:.2f})  {row['first_text']!r}")
    print(f"{'':18}rather than {row['second_text']!r}")
