"""Figures that documents state are those of their source."""

from __future__ import annotations

import json
import re
from pathlib import Path

from census_data.population import load_population
from plenary.report.diagnostics import size_rows
from plenary.runs.records.assembly import Summary
from plenary.runs.records.diagnostics import SizeRecord

ROOT = Path(__file__).parents[1]
# Where the time of the quickstart is told.
TIMED = (
    "README.md",
    "docs/tutorial/index.md",
    "configs/quickstart.yaml",
    "examples/whole_chain.py",
)


def text(name: str) -> str:
    return re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))


def test_imputed_columns_and_shares_are_those_of_the_snapshot() -> None:
    manifest = json.loads((ROOT / "census_data/snapshot/manifest.json").read_text("utf-8"))
    columns, share = len(manifest["imputed_columns"]), manifest["imputed_share"]
    filtered = load_population().imputed_share
    page = text("docs/data/population.md")
    variables = re.search(r"lacked (\d+) survey variables", page)
    assert variables is not None
    assert f"They are {columns} columns here" in page
    assert f"{100 * share:.1f} % of the weight" in page
    assert f"({100 * filtered:.1f} % after the default filter)" in page
    assert f"- {columns} columns of the records from California and Texas" in text("README.md")
    assert f"({variables[1]} survey variables" in text("README.md")


def test_the_time_of_the_quickstart_is_told_once_and_the_same() -> None:
    told = {
        name: set(re.findall(r"\b[a-z]+(?: to [a-z]+)? minutes\b", text(name))) for name in TIMED
    }
    assert all("three to four minutes" in found for found in told.values()), told
    assert not [name for name, found in told.items() if "three minutes" in found]


def test_each_kind_of_agreement_between_panels_has_its_own_name() -> None:
    held_out = Summary.model_fields["ceiling"].description
    assert held_out is not None
    assert "held-out" in held_out
    one = SizeRecord(
        citizens=60, reliability=0.9, agreement=0.947, with_everybody=0.957, halves_agreement=None
    )
    ((_, value, note),) = size_rows((one,))
    assert value == "94.7%"
    assert "over all pairs" in note
    assert "95.7%" in note
    for page in (ROOT / "docs").rglob("*.md"):
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"no model .* can agree|any model trained on", line, re.IGNORECASE)
