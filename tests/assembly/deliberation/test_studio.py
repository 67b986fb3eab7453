import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assembly.deliberation.studio import make_graph

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "assembly_graph.md"


def test_the_drawing_in_the_docs_is_the_graph() -> None:
    drawn = make_graph().get_graph(xray=True).draw_mermaid()
    held = PAGE.read_text(encoding="utf-8").split("```mermaid\n")[1].split("```")[0]
    assert held == drawn, "draw it anew from make_graph().get_graph(xray=True).draw_mermaid()"


def test_the_graph_of_langgraph_json_holds_an_assembly() -> None:
    named = json.loads((ROOT / "langgraph.json").read_text())["graphs"]["assembly"]
    assert named == "./assembly/deliberation/studio.py:make_graph"
    ended = asyncio.run(make_graph().ainvoke({}))
    assert ended == {"votes": 12 * 3 * 2 * 3, "recorded": 12 * 3 * 2 * 3}


def test_a_second_invocation_finds_everything_recorded() -> None:
    graph = make_graph()
    first = asyncio.run(graph.ainvoke({}))
    assert asyncio.run(graph.ainvoke({}))["recorded"] == first["recorded"]


def test_langgraph_validates_its_file() -> None:
    found = shutil.which("langgraph", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("langgraph-cli is not installed; pip install 'plenary[studio]'")
    answer = subprocess.run(
        [found, "validate"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
