from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plenary.embedded as embedded
from evaluation.elicitation.design import DesignSettings
from plenary.errors import ConfigError, DataError
from plenary.runs.config import OutcomeSettings
from plenary.runs.plan import Plan
from plenary.stages.plan import check_joined, chosen_outcomes, make_plan, pairs_left_out

DESIGN = DesignSettings(train_pairs=20, held_out_pairs=12)


@pytest.fixture
def catalogue_file(tmp_path: Path) -> Path:
    lines = ["id,text,topic"]
    for topic, size in {"money": 12, "pets": 8, "taxes": 4}.items():
        lines += [f"{topic}{k},Sentence {k} about {topic},{topic}" for k in range(size)]
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_count_is_spread_over_topics_in_catalogue_order(catalogue_file: Path) -> None:
    settings = OutcomeSettings(path=catalogue_file, count=12)
    chosen = chosen_outcomes(settings, 0, embedded_reads=False)
    topics = [outcome.topic for outcome in chosen]
    assert [topics.count(t) for t in ("money", "pets", "taxes")] == [4, 4, 4]
    assert topics == sorted(topics)
    assert chosen == chosen_outcomes(settings, 0, embedded_reads=False)
    assert chosen != chosen_outcomes(settings, 1, embedded_reads=False)


def test_topics_are_left_out(catalogue_file: Path) -> None:
    settings = OutcomeSettings(path=catalogue_file, count=None, exclude_topics=("money",))
    assert chosen_outcomes(settings, 0, embedded_reads=False).topics == ("pets", "taxes")


def test_unreadable_topics_are_left_out_for_the_model_that_ships(
    catalogue_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "unreadable_topics", lambda: frozenset({"pets"}), raising=False)
    settings = OutcomeSettings(path=catalogue_file, count=None)
    assert "pets" not in chosen_outcomes(settings, 0, embedded_reads=True).topics
    assert "pets" in chosen_outcomes(settings, 0, embedded_reads=False).topics
    keep = settings.model_copy(update={"readable_only": False})
    assert "pets" in chosen_outcomes(keep, 0, embedded_reads=True).topics


def test_unknown_topic_and_too_large_a_count(catalogue_file: Path) -> None:
    settings = OutcomeSettings(path=catalogue_file, exclude_topics=("sport",))
    with pytest.raises(ConfigError, match="'sport'"):
        chosen_outcomes(settings, 0, embedded_reads=False)
    with pytest.raises(DataError, match=r"24 outcomes .*outcomes\.count=null"):
        chosen_outcomes(OutcomeSettings(path=catalogue_file), 0, embedded_reads=False)


def test_no_pair_crosses_the_split(catalogue_file: Path, tmp_path: Path) -> None:
    settings = OutcomeSettings(path=catalogue_file, count=24)
    plan = make_plan(chosen_outcomes(settings, 0, embedded_reads=False), settings, DESIGN, 0)
    held, train = set(plan.held_out), set(plan.train)
    assert held | train == set(range(24))
    assert not held & train
    assert set(np.ravel(plan.held_out_pairs)) == held
    assert set(np.ravel(plan.train_pairs)) == train
    assert plan.pairs.shape == (32, 2)
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    assert Plan.read(tmp_path / "plan.json") == plan


def test_unreadable_plan(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"plan\.json"):
        Plan.read(tmp_path / "plan.json")


def test_too_few_pairs_to_join_the_outcomes_is_said_before_anything_is_asked(
    catalogue_file: Path,
) -> None:
    settings = OutcomeSettings(path=catalogue_file, count=None)
    catalogue = chosen_outcomes(settings, 0, embedded_reads=False)
    check_joined(make_plan(catalogue, settings, DESIGN, 0))
    sparse = make_plan(catalogue, settings, DesignSettings(train_pairs=9, held_out_pairs=12), 0)
    with pytest.raises(ConfigError, match=r"^9 pairs .* train outcomes; raise design"):
        check_joined(sparse)


def test_fewer_pairs_than_wanted_are_said_with_the_setting(catalogue_file: Path) -> None:
    settings = OutcomeSettings(path=catalogue_file, count=None)
    catalogue = chosen_outcomes(settings, 0, embedded_reads=False)
    assert pairs_left_out(make_plan(catalogue, settings, DESIGN, 0), DESIGN) == ()
    many = DesignSettings(train_pairs=900, held_out_pairs=12)
    (said,) = pairs_left_out(made := make_plan(catalogue, settings, many, 0), many)
    count = len(made.train)
    assert f"{count * (count - 1) // 2} pairs" in said
    assert "design.train_pairs" in said


NOUNS = ("flats", "quux", "wugs", "zorbs", "clinics", "blorfs", "roads", "glims", "trees", "parks")


def _own(tmp_path: Path, nouns: tuple[str, ...]) -> OutcomeSettings:
    path = tmp_path / "own.csv"
    rows = [f"o{k},the town builds {k + 2} {noun},town" for k, noun in enumerate(nouns)]
    path.write_text("\n".join(["id,text,topic", *rows]), encoding="utf-8")
    return OutcomeSettings(path=path, count=None)


def test_outcomes_that_the_shipped_model_cannot_read_are_named_or_refused(tmp_path: Path) -> None:
    settings, design = _own(tmp_path, NOUNS), DesignSettings(train_pairs=6, held_out_pairs=3)
    catalogue = chosen_outcomes(settings, 0, embedded_reads=True)
    made = make_plan(catalogue, settings, design, 0, embedded_reads=True)
    assert made.unread == {
        "o1": ("quux",), "o2": ("wugs",), "o3": ("zorbs",), "o5": ("blorfs",), "o7": ("glims",)
    }  # fmt: skip
    assert make_plan(catalogue, settings, design, 0).unread == {}
    strict = settings.model_copy(update={"max_unread": 0.4})
    with pytest.raises(DataError, match=r"5 of 10 outcomes \('o1': 'quux'; .*max_unread"):
        make_plan(catalogue, strict, design, 0, embedded_reads=True)
