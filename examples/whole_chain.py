"""From census to report in one call, in three to four minutes on two idle cores.

Run: python examples/whole_chain.py [FOLDER]
"""

import sys
from pathlib import Path

from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import Summary
from plenary.runs.records.base import read_record

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
config = load_config("quickstart", [*sys.argv[2:], "name=example"])
run = run_stages(config, folder, "resume", CHAIN, NullWatcher())
found = read_record(Summary, run.file("summary.json"))
print(f"agreement {found.agreement_before:.1%} -> {found.agreement_after:.1%}")
print(f"gain {100 * found.gain:+.1f} ({100 * found.gain_low:+.1f}..{100 * found.gain_high:+.1f})")
print(f"ceiling {found.ceiling:.1%}, report {found.report}")
