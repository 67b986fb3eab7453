"""How large is the report, and how long do the report and a page of the viewer take to make?

A run of the shipped model: a small one with --quick, otherwise the quickstart.
"""

from __future__ import annotations

import sys
from pathlib import Path

# As a script this file's folder comes first on the path and its names hide packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import gzip
import tempfile
import time
from collections.abc import Iterator

from starlette.testclient import TestClient

from benchmarks.targets import Target, main
from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.report.page import write_report
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.viewer.web import application

SMALL = (
    "outcomes.count=24", "panel.citizens=14", "design.train_pairs=24", "design.held_out_pairs=14",
    "assembly.table_size=6", "alignment.epochs=1", "measures.wording_pairs=6",
    "measures.hiring=false",
)  # fmt: skip
PAGES = ("/", "/panel", "/citizens", "/pairs", "/utilities", "/cost")


def pages(quick: bool) -> Iterator[Target]:
    """Sizes and times of one finished run."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config("quickstart", SMALL if quick else ())
        space = run_stages(config, Path(folder), "error", CHAIN, NullWatcher())
        started = time.process_time()
        write_report(space)
        took = time.process_time() - started
        made = space.file("report.html").read_bytes()
        yield Target("report, KiB", len(made) / 1024, 1024, at_least=False)
        yield Target("report compressed, KiB", len(gzip.compress(made)) / 1024, 300, at_least=False)
        yield Target("report, CPU seconds to make", took, 5, at_least=False)
        yield Target("slowest page of the viewer, CPU seconds", _slowest(space.run.path), 2, False)


def _slowest(run: Path) -> float:
    times = []
    client = TestClient(application(run), base_url="http://127.0.0.1")
    for page in PAGES:
        started = time.process_time()
        client.get(page).raise_for_status()
        times.append(time.process_time() - started)
    return max(times)


if __name__ == "__main__":
    main(__doc__, pages)
