"""A stage is redone when what it runs changed, and only then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import evaluation.comparison.compare
import evaluation.hiring.audit
import evaluation.hiring.power
import evaluation.utility.davidson
import personas.sampling.sortition
import plenary
import plenary.embedded.grammar
import plenary.models.local.chat_template
import plenary.models.parse_label
import plenary.runs.filenames
import plenary.stages.comparison
import plenary.stages.elicitation
import plenary.stages.training
from plenary.outcomes import configs_folder
from plenary.pipeline.assembly import with_rule
from plenary.pipeline.chain import CHAIN
from plenary.runs.config import PipelineConfig
from plenary.runs.fingerprint import OURS, Sources, code_hash
from plenary.runs.workspace import Workspace

pytestmark = pytest.mark.slow

ROOT = Path(str(plenary.__file__)).parents[1]
ASKS = {"elicit before", "elicit after", "elicit retest"}
ASSEMBLY = {"convene", "paraphrase"}
OPENS_A_MODEL = ASKS | ASSEMBLY | {"align", "wording", "hiring", "retention", "human anchor"}


def hashes(folder: Path) -> dict[str, str]:
    sources = Sources(folder, folder / "configs")
    return {
        stage.name: code_hash(stage.work, Workspace, PipelineConfig, sources) for stage in CHAIN
    }


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of our packages and presets, large files left out."""
    folder = tmp_path_factory.mktemp("sources")
    large = shutil.ignore_patterns("*.safetensors", "*.parquet", "__pycache__")
    for package in OURS:
        shutil.copytree(ROOT / package.__name__, folder / package.__name__, ignore=large)
    shutil.copytree(configs_folder(), folder / "configs")
    return folder


@pytest.fixture(scope="module")
def redone(copied: Path) -> Callable[[Path, Callable[[str], str]], set[str]]:
    """The stages whose hash an edit of a file changes."""
    before = hashes(copied)

    def edit(file: Path, change: Callable[[str], str]) -> set[str]:
        text = file.read_text(encoding="utf-8")
        assert change(text) != text
        try:
            file.write_text(change(text), encoding="utf-8")
            after = hashes(copied)
        finally:
            file.write_text(text, encoding="utf-8")
        return {name for name in before if after[name] != before[name]}

    return edit


def place(folder: Path, module: ModuleType) -> Path:
    return folder / Path(str(module.__file__)).relative_to(ROOT)


def longer(text: str) -> str:
    return f"{text}\n# Edited.\n"


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (plenary.models.local.chat_template, OPENS_A_MODEL),
        (plenary.models.parse_label, OPENS_A_MODEL),
        (evaluation.hiring.audit, {"hiring"}),
        (evaluation.hiring.power, set[str]()),
        (personas.sampling.sortition, {"recruit"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_editing_a_module_redoes_the_stages_that_run_it(redone, copied, module, wanted) -> None:
    changed = redone(place(copied, module), longer)
    assert changed - {"report"} == wanted


def test_fits_and_comparisons_follow_from_their_own_modules(redone, copied) -> None:
    changed = redone(place(copied, evaluation.utility.davidson), longer)
    assert "fit" in changed
    assert not changed & {"plan", "census", "recruit", *ASKS}
    assert "compare" in redone(place(copied, evaluation.comparison.compare), longer)


def test_stages_of_one_module_are_told_apart(redone, copied) -> None:
    training = place(copied, plenary.stages.training)
    assert redone(
        training, lambda text: text.replace("NeutralText((), ", "NeutralText(tuple(), ")
    ) == {"align"}
    comparison = place(copied, plenary.stages.comparison)
    assert redone(
        comparison,
        lambda text: text.replace("    settings = space.config.comparison\n", "    pass\n", 1),
    ) == {"compare"}
    asking = place(copied, plenary.stages.elicitation)
    assert redone(asking, lambda text: text.replace("started = ", "begun = started = ", 1)) == ASKS
    names = place(copied, plenary.runs.filenames)
    assert redone(names, lambda text: text.replace('RETENTION = "re', 'RETENTION = "Re')) == {
        "retention",
        "report",
    }


def test_data_files_belong_to_the_modules_that_read_them(redone, copied) -> None:
    cues = sorted((copied / "configs" / "audit").glob("cues*.yaml"))[0]
    assert redone(cues, longer) - {"report"} == {"hiring"}
    words = next(place(copied, plenary.embedded.grammar).parent.glob("grammar/*.yaml"))
    assert {"plan", *ASKS} <= redone(words, longer)
    survey = next((copied / personas.__name__ / "surveys").glob("*.json"))
    assert "human anchor" in redone(survey, longer)
    template = next((copied / plenary.__name__ / "report" / "templates").glob("*.j2"))
    assert redone(template, longer) == {"report"}


def test_a_rule_of_ones_own_keeps_the_code_of_the_decision() -> None:
    own = {stage.name: stage for stage in with_rule(CHAIN, "mine", lambda *_: None)}["consensus"]  # type: ignore[arg-type, return-value]
    assert code_hash(own.work, Workspace, PipelineConfig)


def test_a_function_of_somebody_elses_is_followed_nowhere() -> None:
    one, two = (lambda space: None), (lambda space: space)
    assert code_hash(one, Workspace, PipelineConfig) == code_hash(two, Workspace, PipelineConfig)
