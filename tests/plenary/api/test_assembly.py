"""From people and sentences to a decision, and everything that can be asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import plenary as pl
from assembly.aggregation.electorate import Electorate, RuleResult, by_score
from plenary.errors import ConfigError, DataError
from plenary.models.planted import PlantedBackend
from plenary.models.wrappers.budget import CountingBackend
from plenary.prompt_templates import PromptTemplate


def test_the_result_remembers_who_voted_on_what(
    result: pl.AssemblyResult, panel: pl.PanelResult, outcomes: pl.OutcomeSet
) -> None:
    assert len(result.labels) == 16
    assert result.labels["split"].count("held_out") == 6
    assert set(result.ballots["citizen"]) == set(panel.seats.ids)
    assert len(result.ballots.where(phase="after")) == 16 * 8 * 2
    train, held = ({o.id for o in outcomes} - held_ids(outcomes), held_ids(outcomes))
    for row in result.dataset.table().to_pylist():
        assert {row["first_id"], row["second_id"]} <= (
            held if row["split"] == "held_out" else train
        )


def held_ids(outcomes: pl.OutcomeSet) -> set[str]:
    return {o.id for k, o in enumerate(outcomes) if k in outcomes.held_out}


def test_ballots_are_of_the_first_outcome_in_either_order(result: pl.AssemblyResult) -> None:
    rows = list(result.ballots.where(phase="before", pair=0))
    by_order = [
        np.mean([row["share_first"] for row in rows if row["swapped"] is swapped])
        for swapped in (False, True)
    ]
    assert np.mean(by_order) == pytest.approx(float(np.mean([r["share_first"] for r in rows])))
    assert abs(by_order[0] - by_order[1]) < 0.2


def test_groups_that_moved_are_told_by_any_attribute(result: pl.AssemblyResult) -> None:
    moved = result.by("sex")
    assert sum(moved["citizens"]) == 8
    assert sum(moved["weight"]) == pytest.approx(1.0)
    assert all(0 <= share <= 1 for share in moved["changed"])
    with pytest.raises(ConfigError, match="age"):
        result.by("shoe_size")


def test_a_pair_is_named_in_any_way(result: pl.AssemblyResult) -> None:
    ids = [result.outcomes[k].id for k in result.agenda.pairs[3].tolist()]
    ways = (3, "|".join(ids), (ids[0], ids[1]), (ids[1], ids[0]))
    assert {result.pair_at(way) for way in ways} == {3}
    said = result.transcript(3)
    assert len(said) == 2 * 2 * 2  # tables, rounds, speakers
    assert len(result.transcript(3, table=1)) == 4
    assert set(said["for"]) <= set(ids)
    for wrong in (99, "a|b"):
        with pytest.raises(ConfigError, match="pair"):
            result.transcript(wrong)


def test_dissent_is_reported(result: pl.AssemblyResult) -> None:
    reports = [result.minority_report(k) for k in range(len(result.labels))]
    assert [len(report) for report in reports] == list(map(len, result.dataset.minority))


def test_rows_of_every_form(result: pl.AssemblyResult) -> None:
    soft = result.to_dataset()
    assert (len(soft["train"]), len(soft["held_out"])) == (20, 12)
    assert {"prompt", "labels", "target_p", "weight"} <= set(soft["train"].column_names)
    first, swapped = soft["train"][0], soft["train"][1]
    assert first["target_p"] == pytest.approx(1 - swapped["target_p"])
    assert first["target_p"] == pytest.approx(result.labels["after"][0])
    assert set(result.to_dataset("dpo")["train"].column_names) >= {"prompt", "chosen", "rejected"}
    assert set(result.to_dataset("sft")["train"].column_names) >= {"prompt", "completion"}
    assert len(result.to_dataset("labels")["held_out"]) == 6
    with pytest.raises(ConfigError, match="soft"):
        result.to_dataset("csv")  # type: ignore[arg-type]


def test_a_template_of_ones_own(result: pl.AssemblyResult) -> None:
    own = PromptTemplate("own", 1, "{a} OR {b}? Answer A or B.")
    (message,) = result.to_dataset(templates=[own])["train"][0]["prompt"]
    assert message["content"] == "{} OR {}? Answer A or B.".format(
        *(result.outcomes[k].text for k in result.agenda.pairs[0].tolist())
    )


def test_it_is_saved_whole(result: pl.AssemblyResult, tmp_path: Path) -> None:
    result.save(tmp_path / "kept")
    again = pl.AssemblyResult.load(tmp_path / "kept")
    assert repr(again) == repr(result)
    assert list(again.labels) == list(result.labels)
    assert list(again.ballots) == list(result.ballots)
    assert again.dataset.table().equals(result.dataset.table())
    with pytest.raises(DataError, match="save"):
        pl.AssemblyResult.load(tmp_path)


def test_a_rule_of_ones_own_decides(
    panel: pl.PanelResult, outcomes: pl.OutcomeSet, planted: PlantedBackend
) -> None:
    def first_always(electorate: Electorate) -> RuleResult:
        return by_score(-np.arange(electorate.outcomes, dtype=float), electorate.pairs)

    size = {"train_pairs": 7, "held_out_pairs": 4, "rounds": 0, "table_size": 4, "min_mass": 0.0}
    own = pl.hold_assembly(panel, outcomes, planted, rule=first_always, **size)  # type: ignore[arg-type]
    assert set(own.labels["after"]) == {1.0}
    assert own.rule == "first_always"
    named = pl.hold_assembly(panel, outcomes, planted, rule="maximin", strata="sex", **size)  # type: ignore[arg-type]
    assert set(named.labels["after"]) <= {0.0, 0.5, 1.0}
    with pytest.raises(ConfigError, match="majority"):
        pl.hold_assembly(panel, outcomes, planted, rule="best", **size)  # type: ignore[arg-type]


def test_what_was_asked_is_kept_in_a_folder(
    panel: pl.PanelResult, outcomes: pl.OutcomeSet, planted: PlantedBackend, tmp_path: Path
) -> None:
    counted = CountingBackend(planted)
    size = {"train_pairs": 7, "held_out_pairs": 4, "rounds": 1, "table_size": 4, "min_mass": 0.0}
    first = pl.hold_assembly(panel, outcomes, counted, folder=tmp_path, **size)  # type: ignore[arg-type]
    asked = counted.counts.calls
    again = pl.hold_assembly(panel, outcomes, counted, folder=tmp_path, **size)  # type: ignore[arg-type]
    assert counted.counts.calls == asked > 0
    assert list(again.labels) == list(first.labels)


@pytest.mark.parametrize("form", ["frame", "dicts", "texts"])
def test_people_of_ones_own(form: str, outcomes: pl.OutcomeSet, planted: PlantedBackend) -> None:
    rows = [
        {"age": 20 + 9 * k, "sex": "woman" if k % 2 else "man", "party": "Green", "weight": 1.0 + k}
        for k in range(4)
    ]
    people = {
        "frame": pd.DataFrame(rows),
        "dicts": rows,
        "texts": [f"You are person {k}." for k in range(4)],
    }[form]
    size = {"train_pairs": 7, "held_out_pairs": 4, "rounds": 0, "table_size": 2, "min_mass": 0.0}
    held = pl.hold_assembly(people, outcomes, planted, **size)  # type: ignore[arg-type]
    if form == "texts":
        assert held.seats.texts[0] == "You are person 0."
        return
    assert held.seats.weights.tolist() == pytest.approx([0.4, 0.8, 1.2, 1.6])
    assert "20-year-old" in held.seats.texts[0]
    assert "Party: Green." in held.seats.texts[0]
    assert held.by("party")["party"] == ["Green"]
    assert held.by("age")["age"][0] == "under 25"


@pytest.mark.parametrize(
    ("people", "wrong"),
    [
        ([{"age": 30, "sex": "robot"}] * 2, "sex"),
        ([{"age": 30, "weight": -1}] * 2, "weight"),
        (["You are alone."], "at least 2"),
        ([{"id": "x", "age": 3}, {"id": "x", "age": 4}], "two people"),
        ([{}, {}], "description"),
        (7, "DataFrame"),
    ],
)
def test_people_who_cannot_be_seated(
    people: object, wrong: str, outcomes: pl.OutcomeSet, planted: PlantedBackend
) -> None:
    with pytest.raises((ConfigError, DataError), match=wrong):
        pl.hold_assembly(people, outcomes, planted)


def test_outcomes_of_any_kind(tmp_path: Path) -> None:
    texts = ["a park is built", "a road is built", "taxes are cut"]
    (tmp_path / "own.csv").write_text("id,text,topic\n" + "".join(f"{k},{t},x\n" for k, t in
                                      enumerate(texts)), encoding="utf-8")  # fmt: skip
    frame = pd.DataFrame({"text": texts, "topic": ["x", None, "y"]})
    for source in (texts, [{"text": t} for t in texts], frame, tmp_path / "own.csv"):
        assert pl.load_outcomes(source).texts == tuple(texts)
    assert len(pl.load_outcomes(count=12, seed=1)) == 12
    split = pl.load_outcomes(count=12).split(0.4, seed=0)
    assert len(split.held_out) == 5
    assert split.table()["split"].count("held_out") == 5
    for wrong in ([3, 4], [{"words": "a"}], 5):
        with pytest.raises((DataError, ConfigError)):
            pl.load_outcomes(wrong)


def test_pairs_shrink_to_what_outcomes_allow_and_no_further() -> None:
    outcomes = pl.load_outcomes([f"outcome {k} happens" for k in range(10)]).split(0.4)
    _, held = outcomes.pairs(None, None, seed=0)
    assert (int((~held).sum()), int(held.sum())) == (15, 6)
    many = pl.load_outcomes(count=400).split(0.4)
    _, held = many.pairs(None, None, seed=0)
    assert (int((~held).sum()), int(held.sum())) == (239, 159)  # enough to join them all
    with pytest.raises(ConfigError, match="1 to 15"):
        outcomes.pairs(16, None, seed=0)


def test_an_unknown_setting_is_told_the_known_ones(
    panel: pl.PanelResult, outcomes: pl.OutcomeSet, planted: PlantedBackend
) -> None:
    with pytest.raises(ConfigError, match="table_size"):
        pl.hold_assembly(panel, outcomes, planted, tabel_size=4)
    with pytest.raises(ConfigError, match="citizens"):
        pl.sample_panel(1)


def test_it_works_inside_a_running_loop_and_awaited(
    panel: pl.PanelResult, outcomes: pl.OutcomeSet, planted: PlantedBackend
) -> None:
    size = {"train_pairs": 7, "held_out_pairs": 4, "rounds": 0, "table_size": 4, "min_mass": 0.0}

    async def notebook() -> tuple[pl.AssemblyResult, pl.AssemblyResult]:
        plain = pl.hold_assembly(panel, outcomes, planted, **size)  # type: ignore[arg-type]
        return plain, await pl.ahold_assembly(panel, outcomes, planted, **size)  # type: ignore[arg-type]

    plain, awaited = asyncio.run(notebook())
    assert list(plain.labels) == list(awaited.labels)


def test_nothing_is_printed(
    panel: pl.PanelResult,
    outcomes: pl.OutcomeSet,
    planted: PlantedBackend,
    capfd: pytest.CaptureFixture[str],
) -> None:
    size = {"train_pairs": 7, "held_out_pairs": 4, "rounds": 0, "table_size": 4, "min_mass": 0.0}
    pl.hold_assembly(panel, outcomes, planted, **size)  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")
    pl.hold_assembly(panel, outcomes, planted, quiet=False, **size)  # type: ignore[arg-type]
    out, err = capfd.readouterr()
    assert out == ""
    assert "assembly" in err


def test_a_panel_is_saved_and_shows_itself(panel: pl.PanelResult, tmp_path: Path) -> None:
    panel.save(tmp_path / "panel.json")
    again = pl.PanelResult.load(tmp_path / "panel.json")
    assert list(again.table()) == list(panel.table())
    assert again.shares == panel.shares
    assert again.seats.attributes.keys() == panel.seats.attributes.keys()
    assert panel.describe(0) == panel.describe(panel.seats.ids[0])
    assert "<svg" in panel._repr_html_()
    assert len(panel.to_pandas()) == 8


SHOWN: dict[str, Callable[[pl.AssemblyResult, pl.PanelResult], object]] = {
    "assembly": lambda result, panel: result,
    "panel": lambda result, panel: panel,
}


@pytest.mark.parametrize("name", SHOWN)
def test_results_are_drawn(name: str, result: pl.AssemblyResult, panel: pl.PanelResult) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    shown = SHOWN[name](result, panel)
    axes = shown.plot()  # type: ignore[attr-defined]
    assert axes.get_xlabel()
    assert axes.figure is not None
    mpl.pyplot.close(axes.figure)
    assert len(repr(shown)) < 300
    assert "<svg" in shown._repr_html_()  # type: ignore[attr-defined]
