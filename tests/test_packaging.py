"""The wheel holds the six packages, their data and the presets, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"census_data", "personas", "assembly", "alignment", "evaluation", "plenary"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_top_level_names_are_the_six(names: list[str]) -> None:
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES


def test_presets_and_catalogue_travel(names: list[str]) -> None:
    assert "plenary/configs/quickstart.yaml" in names
    assert "plenary/configs/outcomes/default.yaml" in names
    assert {f"plenary/configs/retention/{name}.yaml" for name in ("general", "embedded")} <= set(
        names
    )


def test_data_travels(names: list[str]) -> None:
    assert "census_data/snapshot/us_adults_2024.parquet" in names
    assert "census_data/snapshot/manifest.json" in names
    assert "plenary/report/templates/report.html.j2" in names
    assert "plenary/report/templates/report.css" in names
    viewer = ("templates/page.html.j2", "static/viewer.css", "static/viewer.js")
    assert {f"plenary/viewer/{name}" for name in viewer} <= set(names)
    assert any(name.startswith("plenary/embedded/") and "safetensors" in name for name in names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_entry_point_is_the_command_line(names: list[str]) -> None:
    assert any(name.endswith("entry_points.txt") for name in names)


def test_torch_is_pinned_in_the_constraints_only() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
    assert re.search(r'"torch>=[\d.]+,<\d+"', (ROOT / "pyproject.toml").read_text())


def test_every_dependency_is_constrained() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'^\s+"([a-z0-9-]+)>=', pyproject, flags=re.MULTILINE))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    held = {re.split("==", line)[0].lower().replace("_", "-") for line in lines}
    assert wanted <= held
