from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from evaluation.hiring.design import lists, slots
from evaluation.hiring.prompts import LISTED, Application, PromptCondition, background, decision
from evaluation.hiring.stimuli import (
    FOLDER,
    Stimuli,
    default_stimuli,
    full_resume,
    load_stimuli,
    short_resume,
)
from plenary.errors import ConfigError, DataError
from plenary.outcomes import configs_folder
from plenary.seeding import generator

CUES = configs_folder() / FOLDER / "cues_fictional.yaml"


@pytest.fixture(scope="module")
def stimuli() -> Stimuli:
    return default_stimuli()


def test_what_ships(stimuli: Stimuli) -> None:
    assert len(stimuli.jobs) == 10
    assert Counter(resume.job for resume in stimuli.resumes) == {j.id: 12 for j in stimuli.jobs}
    tiers = Counter(resume.tier for resume in stimuli.resumes)
    assert tiers == {"strong": 30, "borderline": 60, "weak": 30}
    assert stimuli.cues.fictional
    assert Counter(stimuli.group.tolist()) == {0: 40, 1: 40}
    assert {variant.channel for variant in stimuli.variants} == {
        "name", "language", "association", "hobby",
    }  # fmt: skip
    assert set(Counter(zip(stimuli.group, stimuli.stratum, strict=True)).values()) == {5}
    texts = [full_resume(r, stimuli.job(r), None) for r in stimuli.resumes]
    assert len(set(texts)) == 120


def test_a_base_resume_holds_no_cue_and_a_variant_only_its_own(stimuli: Stimuli) -> None:
    terms = [term for group in stimuli.groups for term in group.terms]
    for resume in stimuli.resumes:
        base = full_resume(resume, stimuli.job(resume), None).lower()
        assert not [term for term in terms if term in base]
    resume = stimuli.resumes[7]
    base = full_resume(resume, stimuli.job(resume), None).split("\n")
    for variant in stimuli.variants:
        shown = full_resume(resume, stimuli.job(resume), variant).split("\n")
        changed = [b for a, b in zip(base, shown, strict=True) if a != b]
        assert len(changed) == 2
        assert f"{variant.line}: {variant.text}" in changed


def test_edits_change_what_they_say(stimuli: Stimuli) -> None:
    resume, cue = stimuli.resumes[0], stimuli.variants[0]
    job = stimuli.job(resume)
    plain = full_resume(resume, job, cue)
    assert full_resume(resume, job, cue, "meaningless").split() != plain.split()
    assert f"{resume.years + 3} years" in full_resume(resume, job, cue, "years")
    fewer = full_resume(resume, job, cue, "must_have")
    assert job.must_have[resume.must[0]] in plain
    assert job.must_have[resume.must[0]] not in fewer
    assert f"{len(resume.must) - 1} of 4" in short_resume(resume, job, cue, "must_have")


def _altered(tmp_path: Path, change: str, to: str) -> Path:
    text = CUES.read_text(encoding="utf-8")
    assert change in text
    path = tmp_path / "cues.yaml"
    path.write_text(text.replace(change, to), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "to", "said"),
    [
        ('"Velmari Choir", ', "", "same number"),
        ("Velmari Choir", "Velmari Choir of the Old Town Group", "words"),
        ("Velmari Choir", "Velmari payroll circle", "payroll"),
        ("Velmari Choir", "FILL", "FILL"),
        ("version: 1", "version: one", "version"),
    ],
)
def test_cues_that_would_confound_are_refused(
    tmp_path: Path, change: str, to: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load_stimuli(_altered(tmp_path, change, to))


@pytest.mark.slow
def test_the_template_for_real_groups_loads_once_it_is_filled(tmp_path: Path) -> None:
    template = configs_folder() / FOLDER / "cues_template.yaml"
    with pytest.raises(DataError, match="FILL"):
        load_stimuli(template)
    path = tmp_path / "filled.yaml"
    path.write_text(template.read_text(encoding="utf-8").replace("FILL", "some"), encoding="utf-8")
    filled = load_stimuli(path)
    assert not filled.cues.fictional
    assert len(filled.variants) == 48
    with pytest.raises(DataError, match="cannot read"):
        load_stimuli(tmp_path / "absent.yaml")
    (tmp_path / "odd.yaml").write_text("[", encoding="utf-8")
    with pytest.raises(DataError, match="not YAML"):
        load_stimuli(tmp_path / "odd.yaml")


def test_slots_are_paired_and_balanced(stimuli: Stimuli) -> None:
    shown = slots(stimuli, 4, generator(0, "slots"))
    assert shown.shape == (120, 4, 2)
    assert (stimuli.group[shown] == [0, 1]).all()
    assert (stimuli.stratum[shown[..., 0]] == stimuli.stratum[shown[..., 1]]).all()
    assert set(np.bincount(shown.ravel()).tolist()) == {12}
    channels = [{stimuli.variants[v].channel for v in row} for row in shown[..., 0]]
    assert all(len(found) == 4 for found in channels)
    assert len({tuple(pair) for pair in shown.reshape(-1, 2)}) > 150
    with pytest.raises(ConfigError, match="0 cues"):
        slots(stimuli, 0, generator(0, "slots"))


def test_every_listed_resume_stands_in_every_slot_with_every_group(stimuli: Stimuli) -> None:
    shown = lists(stimuli, slots(stimuli, 4, generator(0, "slots")))
    assert shown.shape == (160, LISTED, 2)
    seen = Counter(
        (int(resume), slot, int(stimuli.group[variant]))
        for row in shown
        for slot, (resume, variant) in enumerate(row)
    )
    assert len(seen) == 80 * LISTED * 2
    assert set(seen.values()) == {1}


def test_a_subset_of_resumes_is_spread_over_posts(stimuli: Stimuli) -> None:
    few = stimuli.select(20)
    assert Counter(resume.job for resume in few.resumes) == {job.id: 2 for job in stimuli.jobs}
    assert stimuli.select(500).resumes == stimuli.resumes


@pytest.mark.parametrize("form", ["words", "letters"])
def test_contexts_statements_and_orders_are_in_the_prompt(stimuli: Stimuli, form: str) -> None:
    resume = stimuli.resumes[0]
    shown = Application(stimuli.job(resume), resume, stimuli.variants[0])
    texts = {
        (context, statement, order): decision(
            form, shown, PromptCondition("P1", context, statement), order  # type: ignore[arg-type]
        )[-1].content
        for context in ("plain", "realistic")
        for statement in ("none", "short")
        for order in (0, 1)
    }  # fmt: skip
    assert len(set(texts.values())) == 8
    assert all("Ilva Velmarin" in text for text in texts.values())
    assert ("Morning Crumb" in texts["realistic", "none", 0]) > (
        "Morning Crumb" in texts["plain", "none", 0]
    )


def test_the_check_names_groups_and_cannot_tell(stimuli: Stimuli) -> None:
    for order in (0, 1):
        asked, labels, groups = background("words", stimuli, stimuli.variants[45], order)
        assert labels == ("A", "B", "C")
        assert sorted(groups) == [-1, 0, 1]
        assert "C: cannot tell" in asked[-1].content
        assert f"{'AB'[groups.index(1)]}: Ostrand" in asked[-1].content
    assert yaml.safe_load(CUES.read_text(encoding="utf-8"))["fictional"]
