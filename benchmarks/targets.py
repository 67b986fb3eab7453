"""What every benchmark prints at its end: measured values and their targets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Target(NamedTuple):
    """One measured value. `at_least` says which side of the target is good; None: no target.

    A ratio compares two measurements of the same run, so it means the same on other machines.
    """

    name: str
    value: float
    target: float | None
    at_least: bool = True
    ratio: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the good side."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def bar(self) -> str:
        """The target in words."""
        if self.target is None:
            return "none"
        return f"{'>=' if self.at_least else '<='} {self.target:.4g}"


def report(targets: Iterable[Target], as_json: bool) -> None:
    """Print a table, or one JSON object with the list of targets."""
    rows = list(targets)
    if as_json:
        found = [
            {"name": t.name, "value": t.value, "target": t.bar, "ratio": t.ratio, "met": t.met}
            for t in rows
        ]
        print(json.dumps({"targets": found}))
        return
    for t in rows:
        verdict = "met" if t.met else "NOT MET"
        print(f"{t.name:<52} {t.value:>12.4g}  {t.bar:<13} {verdict}")


def main(description: str | None, measure: Callable[[bool], Iterable[Target]]) -> None:
    """Command line of a benchmark: --quick for under 50 s, --json for one object."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller samples, under 50 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    report(measure(options.quick), options.json)
