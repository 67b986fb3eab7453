"""Run every benchmark and render docs/benchmarks.md.

Each script beside this one takes --quick and --json and ends with one JSON object that holds
`targets: [{name, value, target, met}]`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"


class Target(BaseModel):
    """One figure and what it is to reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="what is measured, with its unit")
    value: float = Field(description="measured value")
    target: float | str = Field(description="bar, as a number or in words")
    met: bool = Field(description="the bar is reached")


class Outcome(BaseModel):
    """What a benchmark ends with; it may print more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    targets: tuple[Target, ...] = Field(description="figures of the benchmark")


def is_benchmark(path: Path) -> bool:
    """A script beside this one, not a module that scripts share."""
    return path != Path(__file__) and "__main__" in path.read_text(encoding="utf-8")


def run_one(script: Path, *, quick: bool) -> Outcome:
    """The last line that a benchmark prints, read."""
    command = [sys.executable, str(script), "--json", *(["--quick"] if quick else [])]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent)
    return Outcome.model_validate_json(answer.stdout.strip().splitlines()[-1])


def page(outcomes: dict[str, Outcome]) -> str:
    """The document, one table a script."""
    lines = ["# Benchmarks", "", "Made by `make bench`; do not edit.", ""]
    for name, outcome in outcomes.items():
        lines += [f"## {name}", "", "| Figure | Value | Target | Met |", "|---|---|---|---|"]
        lines += [
            f"| {t.name} | {t.value:.4g} | {t.target} | {'yes' if t.met else 'NO'} |"
            for t in outcome.targets
        ]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run them all; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 50 s a script")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    scripts = [path for path in sorted(HERE.glob("*.py")) if is_benchmark(path)]
    outcomes = {script.stem: run_one(script, quick=arguments.quick) for script in scripts}
    PAGE.write_text(page(outcomes), encoding="utf-8")
    targets = [target.model_dump() for outcome in outcomes.values() for target in outcome.targets]
    if arguments.json:
        print(json.dumps({"targets": targets}))
    else:
        print(PAGE.read_text(encoding="utf-8"))
    sys.exit(0 if all(target["met"] for target in targets) else 1)


if __name__ == "__main__":
    main()
