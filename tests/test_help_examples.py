"""Every verb shows an example in its help, and every example runs, made small."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from support.bureau import KEY, bureau
from typer.testing import CliRunner

from census_data.population import load_population
from personas.panel_file import write_panel
from personas.sampling.recruit import PanelSettings, recruit
from plenary import embedded
from plenary.cli.main import app
from plenary.outcomes import default_outcomes

RUN = (
    "seed=1", "outcomes.count=24", "panel.citizens=6", "design.train_pairs=24",
    "design.held_out_pairs=14", "assembly.table_size=3", "alignment.epochs=1",
    "comparison.bootstrap=200", "measures.wording_pairs=0", "measures.hiring=false",
    "measures.human_anchor=false", "measures.retention=false", "dataset.paraphrased=0",
)  # fmt: skip
SMALL = " ".join(f"--set {change}" for change in RUN)
EMBEDDED = str(embedded.model_path())
# What makes an example small.
MORE = {
    "recruit": "--set panel.citizens=14",
    "elicit": "--pairs 200",
    "evaluate": "--battery power_seeking",
    "evaluate-models": "--set outcomes.count=24",
    "personas stream": "--count 1000",
    "personas validate": "--citizens 6",
    "control": f"--seeds 1 --retention kept.yaml {SMALL}",
    "view": "--port 0",
}
OF_A_RUN = (
    "run", "report", "convene", "consensus", "align", "dataset", "conditions", "publish",
    "census show",
)  # fmt: skip
FIRST = ("report", "elicit", "personas draw", "preregister draft", "preregister lock")
OWN_FILES = {
    "quotas.yaml": "sex: {woman: [5, 9], man: [5, 9]}\n",
    "margins.yaml": "margins:\n  - columns: [sex]\n    cells: [[man, 48.9], [woman, 51.1]]\n",
    "kept.yaml": "name: tiny\nnote: for tests\nitems:\n"
    + "- {question: Which, options: [trees, towns], answer: 0}\n" * 2
    + "documents:\n"
    + "- {prompt: Speak., text: the town plants four trees}\n" * 2,
    "people.csv": "a,s,w\n30,1,2\n41,2,3\n55,1,1\n",
    "map.yaml": "source: s\nlicence: l\nuniverse: u\nyear: 2023\nweight: w\ncolumns: "
    "{sex: {column: s, recode: {'1': man, '2': woman}}, age: {column: a}}\n",
    "votes.csv": "first,second,winner\n"
    + "".join(f"x{a},x{b},x{max(a, b)}\n" for a in range(5) for b in range(5) if a != b) * 3,
}


def verbs(command: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every verb with what stands below its help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path.strip(), getattr(command, "epilog", None) or ""
        return
    for name, child in inner.items():
        yield from verbs(child, f"{path} {name}")


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str) -> None:
    assert VERBS[verb].startswith(f"Example: plenary {verb}")


def words(verb: str) -> list[str]:
    """The example as typed, with the reader's own paths put in and made small."""
    typed = VERBS[verb].removeprefix("Example: plenary ")
    typed = typed.replace("local:/path", f"local:{EMBEDDED}")
    typed = typed.replace("local:PATH", "planted:world.json")
    if verb in OF_A_RUN:
        typed += f" {SMALL}"
    return shlex.split(f"{typed} {MORE.get(verb, '')}")


def look(typed: list[str]) -> str:
    """Open the viewer as typed, read its first page, and leave it."""
    command = [sys.executable, "-m", "plenary", *typed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(address, timeout=60) as answer:
            page = answer.read().decode()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    return page


@pytest.mark.exhaustive
def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in OWN_FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    liked = {outcome.text: k % 7 / 3 for k, outcome in enumerate(default_outcomes())}
    Path("world.json").write_text(json.dumps({"utilities": liked}), encoding="utf-8")
    write_panel(recruit(load_population(), PanelSettings(citizens=4), 0), Path("mine.csv"))
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    failed: dict[str, str] = {}
    with bureau() as server:
        monkeypatch.setenv("CENSUS_BASE_URL", server.address)
        for verb in sorted(VERBS, key=lambda verb: verb not in FIRST):
            if verb == "pool":
                for seed in (1, 2):
                    typed = f"control quickstart --arms prompt_only --seeds 1 {SMALL} --name"
                    CliRunner().invoke(
                        app, [*shlex.split(typed), f"panel{seed}", "--set", f"seed={seed}"]
                    )
            if verb == "view":
                assert "quickstart" in look(words(verb))
                continue
            result = CliRunner().invoke(app, words(verb))
            if result.exit_code:
                failed[verb] = f"{result.exception!r} {result.output[-300:]}"
            if verb == "elicit":
                for name in ("after.parquet", "again.parquet"):
                    shutil.copy("before.parquet", name)
    assert not failed, "\n".join(f"{k}: {v}" for k, v in failed.items())
