"""Run every benchmark and render docs/benchmarks.md.

Each script in this folder takes --quick and --json and ends with one JSON object that contains
`targets: [{name, value, target, ratio, met}]`. If one fails, the page names it and the others still
run.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PACKAGES = ("numpy", "scipy", "torch", "transformers", "trl", "pyarrow")


class Target(BaseModel):
    """One figure and its target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="what is measured, with its unit")
    value: float = Field(description="measured value")
    target: str = Field(description="bar, in words")
    ratio: bool = Field(description="whether it is a ratio of two measurements of one run")
    met: bool = Field(description="whether the target is reached")


class Outcome(BaseModel):
    """The JSON object that a benchmark prints last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    targets: tuple[Target, ...] = Field(description="figures of the benchmark")
    question: str = Field(default="", description="what the script asks: its first line")
    seconds: float = Field(default=0.0, description="wall time")
    load: float = Field(
        default=0.0, description="processes waiting for or using a core when it began"
    )
    failure: str = Field(default="", description="why there are no figures")


def is_benchmark(path: Path) -> bool:
    """Whether a file is a benchmark script, not a module that scripts share."""
    return path != HERE / "run_all.py" and "__main__" in path.read_text(encoding="utf-8")


def run_one(script: Path, *, quick: bool) -> Outcome:
    """Run a benchmark; its last line, parsed, and the load under which it was measured."""
    command = [sys.executable, str(script), "--json", *(["--quick"] if quick else [])]
    question = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").split("\n")
    load, began = os.getloadavg()[0], time.monotonic()
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    told: dict[str, object] = {"question": question[0], "load": load}
    told["seconds"] = time.monotonic() - began
    try:
        return Outcome.model_validate_json(_last(answer.stdout)).model_copy(update=told)
    except ValidationError:
        why = _last(answer.stderr).replace(str(HERE.parent), ".") or "it printed no figures"
        return Outcome(targets=(), failure=why).model_copy(update=told)


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def page(outcomes: dict[str, Outcome], *, quick: bool) -> str:
    """The page: where, when and how it was measured, then one table per script."""
    cores = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{_processor()}"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    form = "quick form (smaller samples)" if quick else "whole form"
    lines = [
        "# Benchmarks",
        "",
        f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {form}; do not edit.",
        "",
        f"- **Machine**: {cores}; Python {platform.python_version()}, {versions}.",
        "- **Load** is the number of processes that wanted a core in the minute before a script "
        "began; above the number of cores, others were slowing it down.",
        "- **Ratio**: two measurements of one run, one over the other; about the same on another "
        "machine. Every other time, rate and size is that of this machine under that load.",
    ]
    for name, outcome in outcomes.items():
        lines += ["", *_section(name, outcome)]
    return "\n".join([*lines, ""])


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    return f", {names[0]}" if names else ""


def _section(name: str, outcome: Outcome) -> list[str]:
    lines = [f"## {name.replace('_', ' ')}", "", outcome.question, ""]
    lines += [f"`benchmarks/{name}.py`: {outcome.seconds:.0f} s, load {outcome.load:.1f}.", ""]
    if outcome.failure:
        return [*lines, f"**No figures**: `{outcome.failure}`"]
    lines += ["| Figure | Kind | Value | Target | Met |", "|---|---|---:|---|---|"]
    return lines + [
        f"| {_cell(t.name)} | {'ratio' if t.ratio else ''} | {_number(t.value)} "
        f"| {_cell(t.target)} | {'yes' if t.met else 'NO'} |"
        for t in outcome.targets
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def main() -> None:
    """Run all benchmarks; exit 1 if a target is missed or a script failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 50 s a script")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    outcomes: dict[str, Outcome] = {}
    for script in filter(is_benchmark, sorted(HERE.glob("*.py"))):
        print(f"{script.stem} ...", end=" ", file=sys.stderr, flush=True)
        outcomes[script.stem] = run_one(script, quick=arguments.quick)
        print(f"{outcomes[script.stem].seconds:.0f} s", file=sys.stderr, flush=True)
    made = page(outcomes, quick=arguments.quick)
    PAGE.write_text(made, encoding="utf-8")
    targets = [target.model_dump() for outcome in outcomes.values() for target in outcome.targets]
    print(json.dumps({"targets": targets}) if arguments.json else made)
    broken = any(outcome.failure for outcome in outcomes.values())
    sys.exit(0 if not broken and all(target["met"] for target in targets) else 1)


if __name__ == "__main__":
    main()
