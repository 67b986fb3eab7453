"""Census to report in one call, with its figures; three to four minutes on two idle cores.

Run: python examples/whole_chain.py [FOLDER]
"""

import sys
from pathlib import Path

from plenary.app.chain import CHAIN
from plenary.app.config import load_config
from plenary.app.pipeline import run_stages
from plenary.app.records import Summary, read_record
from plenary.app.watcher import Silent

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
config = load_config("quickstart", [*sys.argv[2:], "name=example"])
run = run_stages(config, folder, "resume", CHAIN, Silent())
found = read_record(Summary, run.file("summary.json"))
print(f"agreement {found.agreement_before:.1%} -> {found.agreement_after:.1%}")
print(f"gain {100 * found.gain:+.1f} ({100 * found.gain_low:+.1f}..{100 * found.gain_high:+.1f})")
print(f"ceiling {found.ceiling:.1%}, report {found.report}")
