from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import make_checkpoint

import plenary.embedded as embedded
from assembly.record.ballots import Votes
from plenary.errors import BackendError, PlenaryError
from plenary.models.base import Message
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.runs import models
from plenary.runs.config import load_config
from plenary.runs.directory import read_manifest
from plenary.runs.models import check_models, deterministic, open_plain
from plenary.runs.progress import NullWatcher

TURN = "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>"
NO_SYSTEM = (
    f"{{% for m in messages %}}{{% if m['role'] == 'user' %}}{TURN}"
    f"{{% elif m['role'] == 'assistant' %}}{TURN}{{% endif %}}{{% endfor %}}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SMALL = (
    "name=small", "panel.citizens=6", "panel.by=[sex]", "assembly.table_size=2",
    "assembly.rounds=1", "assembly.speakers=1", "outcomes.count=12", "design.train_pairs=12",
    "design.held_out_pairs=6",
)  # fmt: skip


@pytest.fixture
def with_template(tmp_path: Path):
    """The shipped weights in a folder of their own, under another chat template."""

    def made(template: str | None, name: str = "checkpoint") -> Path:
        folder = shutil.copytree(embedded.model_path(), tmp_path / name)
        _set_template(folder, template)
        return folder

    return made


def _set_template(folder: Path, template: str | None) -> None:
    place = folder / "tokenizer_config.json"
    settings = json.loads(place.read_text())
    settings.pop("chat_template", None)
    place.write_text(json.dumps(settings))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)


@pytest.mark.slow
def test_citizens_differ_where_the_template_knows_no_system_role(
    with_template, tmp_path: Path
) -> None:
    """Real weights hold the assembly, which takes seconds: planted citizens render nothing."""
    spec = f"local:{with_template(NO_SYSTEM)}"
    config = load_config(None, [*SMALL, f"citizens_model={spec}"])
    names = [stage.name for stage in ASSEMBLY_STAGES]
    stages = ASSEMBLY_STAGES[: names.index("convene") + 1]
    without = [stage for stage in stages if stage.name != "elicit before"]
    space = run_stages(config, tmp_path / "runs", "error", without, NullWatcher())
    votes = Votes.read(space.file("votes.parquet"))
    first = (votes.phase == 0) & (votes.order == 0)
    shares = votes.share_first[first].reshape(-1, 6)
    assert np.ptp(shares, axis=1).max() > 0.01
    assert space.citizens.name.endswith("/folded")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (None, "has no chat template"),
        ("{{ raise_exception('closed') }}", "closed"),
        ("{% for m in messages %}{% if m.role == 'system' %}" + TURN + "{% endif %}{% endfor %}",
         "refuses the roles"),
    ],
    ids=["none", "raises", "drops the user"],
)  # fmt: skip
def test_a_template_that_loses_text_ends_a_run_before_its_folder_is_made(
    with_template, tmp_path: Path, template: str | None, told: str
) -> None:
    config = load_config(None, [*SMALL, f"citizens_model=local:{with_template(template)}"])
    with pytest.raises(BackendError, match=told):
        run_stages(config, tmp_path / "runs", "error", ASSEMBLY_STAGES, NullWatcher())
    assert not (tmp_path / "runs").exists()


def test_a_hub_name_is_refused_alike_by_a_run_and_without_one() -> None:
    config = load_config(None, ["model=local:lab/small"])
    said = set[str]()
    for call in (check_models, lambda config: open_plain(config.model, config)):
        with pytest.raises(BackendError) as caught:
            call(config)
        said.add(str(caught.value))
    assert len(said) == 1
    assert "hf download lab/small --local-dir FOLDER" in said.pop()


UNVERIFIED = {
    "endpoint": (["model=langchain:openai:x"], "endpoint"),
    "endpoint of citizens": (["citizens_model=langchain:openai:x"], "endpoint"),
    "one of several": (
        ["citizens_model={embedded: 0.5, 'langchain:openai:x': 0.5}"], "endpoint",
    ),
    "engine": (["model=vllm:/nowhere"], "batches"),
    "bfloat16": (["chat.local.dtype=bfloat16"], "bfloat16 on cpu"),
    "GPU": (["chat.local.device=cuda"], "float32 on cuda"),
    "both": (["chat.local.device=cuda:1", "chat.local.dtype=bfloat16"], "bfloat16 on cuda:1"),
    "4 bits": (["chat.local.four_bit=true"], "4 bits"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNVERIFIED)
def test_determinism_is_claimed_for_nothing_that_was_not_verified(case: str) -> None:
    changes, told = UNVERIFIED[case]
    sure, reason = deterministic(load_config(None, changes))
    assert not sure
    assert told in reason


def test_determinism_is_claimed_with_its_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(None)
    sure, reason = deterministic(config)
    assert sure
    for word in ("float32", "CPU", "same machine", "threads", "not in this run"):
        assert word in reason
    assert deterministic(config, alone=False)[0] is False
    monkeypatch.setattr(models, "gpu_at_hand", lambda: True)
    assert deterministic(config)[0]
    assert deterministic(config, trains=True) == (
        False, "not verified for training on a GPU, and this machine has one",
    )  # fmt: skip


def test_a_template_with_a_date_repeats_only_on_a_day_that_is_set(with_template) -> None:
    dated = "{{ strftime_now('%d %b %Y') }}" + NO_SYSTEM
    spec = f"citizens_model=local:{with_template(dated)}"
    sure, reason = deterministic(load_config(None, [spec]))
    assert not sure
    assert "chat.day" in reason
    assert deterministic(load_config(None, [spec, "chat.day=2026-12-01"]))[0]


@pytest.mark.slow
def test_the_day_of_a_run_stays(with_template, tmp_path: Path) -> None:
    dated = "{{ strftime_now('%d %b %Y') }}" + NO_SYSTEM
    config = load_config(None, [*SMALL, f"citizens_model=local:{with_template(dated)}"])
    stages = ASSEMBLY_STAGES[:3]
    space = run_stages(config, tmp_path, "error", stages, NullWatcher())
    made = read_manifest(tmp_path / "small").created.date()
    assert space.config.chat.day == made
    place = tmp_path / "small" / "manifest.json"
    place.write_text(place.read_text().replace(str(made), "2026-01-02"))
    again = run_stages(config, tmp_path, "redo", stages, NullWatcher())
    assert str(again.config.chat.day) == str(made)  # it stands in the run's settings
    (tmp_path / "small" / "config.yaml").unlink()
    later = run_stages(config, tmp_path, "resume", stages, NullWatcher())
    assert str(later.config.chat.day) == "2026-01-02"
    assert later.citizens.name.endswith("/2026-01-02")


def test_templates_with_a_system_text_reach_the_model(tmp_path: Path) -> None:
    """Asked through the port: the same question under two system texts."""
    folder = make_checkpoint("llama", tmp_path / "made")
    _set_template(folder, NO_SYSTEM)
    backend = open_plain(f"local:{folder}", load_config(None))
    ask = Message("user", "Option A: a clinic opens. Option B: it saves lives.")
    texts = ("You are a woman from Ohio.", "You live in a large metropolitan area.")
    found = asyncio.run(
        backend.choose([(Message("system", text), ask) for text in texts], ("A", "B"))
    )
    assert abs(found[0].shares[0] - found[1].shares[0]) > 1e-4


def test_an_unknown_backend_is_an_error_of_ours() -> None:
    with pytest.raises(PlenaryError, match="unknown backend spec"):
        check_models(load_config(None, ["model=nobody:x"]))
