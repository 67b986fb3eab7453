"""Both notebooks run from the first cell to the last, the second on the first one's run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMALL = [
    "name=notebook", "outcomes.count=24", "panel.citizens=6", "design.train_pairs=24",
    "design.held_out_pairs=14", "assembly.table_size=3", "alignment.epochs=1",
    "comparison.bootstrap=200", "measures.wording_pairs=0", "measures.hiring=false",
    "measures.retention=false", "measures.human_anchor=false", "dataset.paraphrased=0",
]  # fmt: skip


def executed(name: str, settings: str) -> str:
    """What the notebook printed, its settings cell replaced."""
    client = pytest.importorskip("nbclient", reason="extra docs is not installed")
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert cells[0].source.count("FOLDER = ")
    cells[0].source = settings
    client.NotebookClient(book, timeout=280, kernel_name="python3").execute()
    return "".join(out.get("text", "") for cell in cells for out in cell.outputs)


@pytest.mark.slow
def test_notebooks(tmp_path: Path) -> None:
    printed = executed("quickstart", f"FOLDER = {str(tmp_path)!r}\nCHANGES = {SMALL!r}")
    assert "6 citizens" in printed
    assert "ceiling" in printed
    printed = executed("reading_the_results", f"FOLDER = {str(tmp_path)!r}\nNAME = 'notebook'")
    assert "the interval includes one half" in printed
    assert "correlation with the assembly's utilities" in printed


@pytest.mark.slow
def test_the_notebook_of_the_api(tmp_path: Path) -> None:
    small = f"FOLDER = {str(tmp_path)!r}\nCITIZENS, OUTCOMES, PAIRS, EPOCHS = 4, 10, 8, 1"
    printed = executed("python_api", small)
    assert "Movement between the ballots by age" in printed
    assert "ceiling" in printed


def test_notebooks_are_kept_without_output() -> None:
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    assert len(paths) == 3
    for path in paths:
        book = nbformat.read(path, as_version=4)
        assert not [cell for cell in book.cells if cell.get("outputs")]
