"""What is measured through the front door agrees with what is known of the models asked."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import plenary as pl
from plenary.errors import ConfigError, DataError, UnusableAnswers
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.models.planted import PlantedBackend, PlantedWorld

mpl.use("Agg")


@pytest.fixture(scope="module")
def answers(outcomes: pl.OutcomeSet, planted: PlantedBackend) -> pl.AnswersResult:
    return pl.elicit(planted, outcomes, min_mass=0.0)


@pytest.fixture(scope="module")
def opposite(outcomes: pl.OutcomeSet, planted: PlantedBackend) -> PlantedBackend:
    """A model that wants the contrary of what the planted one wants."""
    utilities = {text: -value for text, value in planted._world.utilities.items()}
    return PlantedBackend(PlantedWorld(utilities=utilities, swing=0.3))


def test_every_pair_is_asked_in_both_orders(
    answers: pl.AnswersResult, outcomes: pl.OutcomeSet
) -> None:
    assert len(answers.table()) == 66  # all pairs of 12: fewer than 2 K log2 K
    assert len(answers.answers.cells) == 132
    assert answers.outcomes == outcomes.catalogue.outcomes
    assert "66 pairs of 12 outcomes" in repr(answers)


def test_pairs_may_be_counted_or_given(planted: PlantedBackend, outcomes: pl.OutcomeSet) -> None:
    assert len(pl.elicit(planted, outcomes, pairs=14, min_mass=0.0).table()) == 14
    given = pl.elicit(planted, outcomes, pairs=np.array([[3, 1]]), min_mass=0.0)
    assert given.answers.pairs.tolist() == [[1, 3]]
    with pytest.raises(ConfigError, match="templates"):
        pl.elicit(planted, outcomes, template="plain")


def test_utilities_are_those_that_were_planted(
    answers: pl.AnswersResult, planted: PlantedBackend, tmp_path: Path
) -> None:
    fitted = pl.fit_utilities(answers)
    truth = [planted._world.utilities[o.text] for o in fitted.outcomes]
    assert np.corrcoef(fitted.mu, truth)[0, 1] > 0.98
    assert fitted.table()["rank"] == list(range(1, 13))
    assert sorted(fitted.table()["utility"], reverse=True) == fitted.table()["utility"]
    fitted.save(tmp_path / "fit")
    again = pl.UtilityResult.load(tmp_path / "fit")
    assert list(again.table()) == list(fitted.table())
    answers.save(tmp_path / "answers.parquet")
    kept = pl.AnswersResult.load(tmp_path / "answers.parquet")
    assert list(kept.table()) == list(answers.table())


def test_an_assembly_has_utilities_on_either_side(result: pl.AssemblyResult) -> None:
    train, held = (pl.fit_utilities(result, side=side) for side in ("train", "held_out"))
    assert (len(train.mu), len(held.mu)) == (7, 5)
    assert not {o.id for o in train.outcomes} & {o.id for o in held.outcomes}
    with pytest.raises(ConfigError, match="side="):
        pl.fit_utilities(result)
    with pytest.raises(ConfigError, match=r"pl\.elicit"):
        pl.fit_utilities([1, 2])


@pytest.mark.parametrize("form", ["frame", "dicts", "file"])
def test_votes_of_ones_own(form: str, tmp_path: Path) -> None:
    rows = [
        {"first": "tea", "second": "ale", "choice": "tea"},
        {"first": "ale", "second": "tea", "choice": "tea"},
        {"first": "tea", "second": "ale", "choice": "ale"},
        {"first": "ale", "second": "tea", "choice": "tea"},
    ]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "votes.csv", index=False)
    source = {"frame": frame, "dicts": rows, "file": tmp_path / "votes.csv"}[form]
    (row,) = pl.load_votes(source).table()
    assert (row["first"], row["second"], row["share"], row["answers"]) == ("tea", "ale", 0.75, 4.0)


def test_votes_that_cannot_be_read_say_why() -> None:
    for wrong in ([], 5, [{"left": "a"}]):
        with pytest.raises((ConfigError, DataError)):
            pl.load_votes(wrong)


@pytest.mark.parametrize("target", ["rows", "assembly", "votes", "lists"])
def test_a_model_that_thinks_as_the_assembly_gains(
    target: str,
    result: pl.AssemblyResult,
    answers: pl.AnswersResult,
    planted: PlantedBackend,
    opposite: PlantedBackend,
) -> None:
    rows = result.to_dataset()["held_out"]
    goal = {"rows": rows, "assembly": result, "votes": answers, "lists": rows.to_list()}[target]
    found = pl.compare(opposite, planted, goal, min_mass=0.0, bootstrap=100)
    assert found.gain == pytest.approx(found.after.agreement - found.before.agreement)
    assert found.gain > 0.5
    assert found.gain_low <= found.gain <= found.gain_high
    known = target in ("rows", "assembly")
    assert found.ceiling == (pytest.approx(result.ceiling.agreement) if known else None)
    assert (found.model_before, found.model_after) == (opposite.name, planted.name)
    assert f"{found.after.agreement:.1%}" in str(found)


def test_a_model_against_itself_gains_nothing(
    result: pl.AssemblyResult, planted: PlantedBackend, tmp_path: Path
) -> None:
    found = pl.compare(planted, planted, result, min_mass=0.0, bootstrap=100)
    assert (found.gain, found.gain_low, found.gain_high, found.kl_gain) == (0, 0, 0, 0)
    found.save(tmp_path / "comparison.json")
    assert pl.ComparisonResult.load(tmp_path / "comparison.json") == found


def test_rows_of_other_origin_stand_alone() -> None:
    def wants(first: str) -> ChatBackend:
        return pl.load_model(lambda messages: first).backend

    rows = [
        {
            "prompt": [{"role": "user", "content": f"question {k}"}],
            "labels": ["yes", "no"],
            "target_p": 0.9,
            "weight": 1.0,
        }
        for k in range(6)
    ]
    found = pl.compare(wants("no"), wants("yes"), rows, samples=1, bootstrap=100)
    assert (found.before.agreement, found.after.agreement, found.pairs) == (0.0, 1.0, 6)
    assert found.outcomes == 12
    with pytest.raises(DataError, match="target_p"):
        pl.compare(wants("no"), wants("yes"), [{"prompt": "?"}])
    for nothing in ([], 4):
        with pytest.raises((ConfigError, DataError)):
            pl.compare(wants("no"), wants("yes"), nothing)


class Mumbling(ChatBackend):
    """Gives its labels hardly any probability."""

    name, supports_seed, exact_choice = "mumbling", True, True

    async def generate(self, conversations: list[Conversation], sampling: Sampling) -> list[Reply]:  # type: ignore[override]
        return [Reply("hm") for _ in conversations]

    async def choose(
        self,
        conversations: list[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:  # type: ignore[override]
        return [Choice((0.5, 0.5), 0.01, 1, 1) for _ in conversations]


def test_answers_that_are_hardly_any_are_no_result(result: pl.AssemblyResult) -> None:
    with pytest.raises(UnusableAnswers, match="mumbling"):
        pl.compare(Mumbling(), Mumbling(), result)


def test_the_hiring_audit_of_two_models(tmp_path: Path) -> None:
    small: dict[str, object] = {
        "resumes": 16, "cues_per_group": 4, "prompts": ("P1",), "contexts": ("plain",),
        "answers": "letters", "permutations": 99, "bootstrap": 100, "placebo_splits": 100,
        "samples": 1,
    }  # fmt: skip
    found = pl.audit_hiring(lambda m: "A", lambda m: "B", **small)
    assert found.after is not None
    assert found.table()["model"] == ["before", "after"]
    assert found.table()["gap"] == [0.0, 0.0]
    found.save(tmp_path / "audit.json")
    again = pl.AuditResult.load(tmp_path / "audit.json")
    assert list(again.table()) == list(found.table())
    with pytest.raises(ConfigError, match="resumes"):
        pl.audit_hiring(lambda m: "A", resume=4)


def test_batteries_of_any_model(tmp_path: Path) -> None:
    found = pl.evaluate("embedded", ["temporal_discounting"], bootstrap=100)
    assert {row["battery"] for row in found.table()} == {"temporal_discounting"}
    assert found["temporal_discounting"].asked > 0
    found.save(tmp_path / "results.json")
    assert pl.EvaluationResult.load(tmp_path / "results.json") == found
    with pytest.raises(ConfigError, match="not asked"):
        found["coherence"]
    with pytest.raises(ConfigError, match="unknown battery"):
        pl.evaluate("embedded", ["courage"])


def test_results_are_drawn(
    result: pl.AssemblyResult, answers: pl.AnswersResult, planted: PlantedBackend
) -> None:
    compared = pl.compare(planted, planted, result, min_mass=0.0, bootstrap=100)
    for shown in (pl.fit_utilities(answers), compared):
        axes = shown.plot()
        assert axes.get_xlabel()
        mpl.pyplot.close(axes.figure)
        assert "<svg" in shown._repr_html_()
        assert len(shown.to_pandas()) == len(shown.table())


def test_plotting_without_matplotlib_says_what_to_install(
    answers: pl.AnswersResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        pl.fit_utilities(answers).plot()
