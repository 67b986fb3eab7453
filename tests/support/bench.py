"""A folder with a small config, outcomes and planted citizens, and the command line in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from plenary.cli.main import main

OUTCOMES = [
    (f"{topic}{k}", f"the town plants {7 * k + 3} trees for {topic}", topic, (5 * k) % 7 / 2)
    for topic in ("money", "health", "taxes")
    for k in range(10)
]
SMALL = """
name: small
outcomes: {path: outcomes.csv, count: 24}
panel: {citizens: 14}
design: {train_pairs: 24, held_out_pairs: 14}
elicitation: {min_mass: 0.0, reason_tokens: 8}
measures: {wording_pairs: 6}
assembly: {min_mass: 0.0}
alignment: {epochs: 1, batch: 16, replay_rows: 1}
comparison: {bootstrap: 200}
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Bench:
    """A folder with a config, outcomes and planted citizens, and the command line in it."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.patch, self.capture = folder, patch, capture
        patch.chdir(folder)
        rows = [",".join((i, text, topic)) for i, text, topic, _ in OUTCOMES]
        (folder / "outcomes.csv").write_text("\n".join(["id,text,topic", *rows]))
        (folder / "small.yaml").write_text(SMALL)
        self.plant(folder / "world.json", swing=0.4)
        self.world = f"planted:{folder / 'world.json'}"

    def plant(self, path: Path, **more: float) -> None:
        utilities = {text: value for _, text, _, value in OUTCOMES}
        path.write_text(json.dumps({"utilities": utilities, **more}))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "plenary", *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def call(self, *arguments: str) -> Answer:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=280)
        return Answer(process.returncode, out, err)

    def here(self, *arguments: str) -> Answer:
        """The command line in this process."""
        self.patch.setattr(sys, "argv", ["plenary", *arguments])
        self.patch.setattr(sys, "excepthook", sys.excepthook)
        self.capture.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = self.capture.readouterr()
        return Answer(int(caught.value.code or 0), out, err)

    def planted(self, verb: str, *more: str) -> Answer:
        return self.here(verb, "small.yaml", *self.specs(), *more)

    def specs(self) -> tuple[str, ...]:
        return ("--set", f"model={self.world}", "--set", f"citizens_model={self.world}")
