"""The first screen of the README, with the model that ships, a checkpoint, and an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.server import serve
from trl.trainer.sft_config import SFTConfig

import plenary as pl
from alignment.training.objectives import OBJECTIVES, Objective
from alignment.training.trainer import without_library_warnings
from plenary.errors import ConfigError, DataError

TEXTS = (
    "a park is built", "a library is built", "a road is built", "taxes are cut",
    "a clinic opens in the valley", "a school opens", "the town plants four hundred trees",
    "food costs less", "animals are protected", "people live in peace",
)  # fmt: skip
SIZE = {"train_pairs": 8, "held_out_pairs": 5, "table_size": 3, "speakers": 1}


def arguments(folder: Path, **more: object) -> SFTConfig:
    chosen: dict[str, object] = {
        "use_cpu": True, "bf16": False, "num_train_epochs": 8, "per_device_train_batch_size": 8,
        "learning_rate": 1e-2, "disable_tqdm": True, "logging_strategy": "no",
        "save_strategy": "no",
    }  # fmt: skip
    with without_library_warnings():
        return SFTConfig(str(folder), **{**chosen, **more})  # type: ignore[arg-type]


def test_with_the_model_that_ships(tmp_path: Path) -> None:
    outcomes = pl.load_outcomes(TEXTS).split(held_out=0.4, seed=0)
    panel = pl.sample_panel(6, by=["age", "sex", "education"], seed=0)
    model = pl.load_model("embedded")
    result = pl.hold_assembly(panel, outcomes, model, rounds=2, seed=0, **SIZE)
    data = result.to_dataset()
    trainer = pl.SoftLabelTrainer(
        model=model, train_dataset=data["train"], args=arguments(tmp_path / "out")
    )
    trainer.train()
    found = pl.compare(model, trainer.model, data["held_out"], bootstrap=100)
    assert found.before == pl.compare(model, model, data["held_out"], bootstrap=100).before
    assert found.kl_gain != 0
    learned = pl.compare(model, trainer.model, data["train"], bootstrap=100)
    assert learned.kl_gain > 0
    assert f"{found.before.agreement:.1%} -> {found.after.agreement:.1%}" in str(found)


@pytest.fixture(scope="module")
def held(checkpoint: Callable[[str], Path]) -> tuple[pl.Model, pl.AssemblyResult]:
    """A tiny checkpoint, and an assembly that an endpoint played."""
    outcomes = pl.load_outcomes(TEXTS).split(held_out=0.4, seed=0)
    scores = {text: float(k % 4) for k, text in enumerate(TEXTS)}
    with serve("logprobs", scores=scores) as server:
        citizens = pl.load_model("openai:tiny", base_url=server.url)
        people = [f"You are person {k}." for k in range(4)]
        size = {**SIZE, "table_size": 2}
        result = pl.hold_assembly(people, outcomes, citizens, rounds=1, seed=0, **size)
    return pl.load_model(checkpoint("llama")), result


def judged(model: object, trained: object, rows: object) -> pl.ComparisonResult:
    """A random model gives its labels hardly any probability, which is no matter here."""
    return pl.compare(model, trained, rows, min_mass=0.0, bootstrap=100)


def test_a_checkpoint_learns_what_an_endpoint_decided(
    held: tuple[pl.Model, pl.AssemblyResult], tmp_path: Path
) -> None:
    model, result = held
    data = result.to_dataset()
    settings = arguments(tmp_path / "out", num_train_epochs=30)
    trainer = pl.SoftLabelTrainer(model, settings, data["train"])
    assert len(trainer.get_train_dataloader()) == 30 * 2  # 16 rows in steps of 8
    trainer.train()
    assert judged(model, trainer.model, data["train"]).after.agreement == 1.0
    again = judged(model, model, data["train"])
    assert again.gain == 0
    assert judged(model, trainer.model, data["train"]).before == again.before


def test_the_same_by_align_with_a_folder_that_stays(
    held: tuple[pl.Model, pl.AssemblyResult], tmp_path: Path
) -> None:
    model, result = held
    chosen = {"epochs": 30, "batch": 8, "learning_rate": 1e-2}
    trained = pl.align(model, result, tmp_path / "adapter", **chosen)
    assert judged(model, trained, result.to_dataset()["train"]).after.agreement == 1.0
    assert trained.adapter == tmp_path / "adapter"
    again = pl.load_model(model.folder, adapter=tmp_path / "adapter")
    assert again.name == trained.name
    with pytest.raises(ConfigError, match="SoftLabelTrainer"):
        pl.align(trained, result, tmp_path / "other")
    with pytest.raises(ConfigError, match="train"):
        pl.align(model, 3, tmp_path / "other")


def test_rows_of_any_origin_and_a_loss_of_ones_own(checkpoint: Callable[[str], Path]) -> None:
    asked: list[int] = []

    def own(log_p, base, target_p, beta):  # type: ignore[no-untyped-def]
        asked.append(len(log_p))
        return OBJECTIVES["soft_sft"].loss(log_p, base, target_p, beta)

    rows = [
        {
            "prompt": [{"role": "user", "content": f"Is {text} good? A or B"}],
            "labels": ["A", "B"],
            "target_p": 0.9,
            "weight": 1.0,
        }
        for text in TEXTS[:4]
    ]
    model = pl.load_model(checkpoint("qwen2"))
    objective = Objective(OBJECTIVES["soft_sft"].shape, own)
    trainer = pl.SoftLabelTrainer(model, train_dataset=rows, objective=objective)
    trainer.train()
    assert asked
    assert judged(model, trainer.model, rows).kl_gain > 0


@pytest.mark.parametrize(("rows", "wrong"), [((), "weight"), ([{"prompt": []}], "prompt")])
def test_rows_that_teach_nothing(
    rows: Sequence[dict[str, object]], wrong: str, checkpoint: Callable[[str], Path]
) -> None:
    with pytest.raises(DataError, match=wrong):
        pl.SoftLabelTrainer(pl.load_model(checkpoint("qwen2")), train_dataset=rows)


def test_a_model_elsewhere_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match="no weights"):
        pl.SoftLabelTrainer(pl.load_model(lambda messages: "A"), train_dataset=[])
