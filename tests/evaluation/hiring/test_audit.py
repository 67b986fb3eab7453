"""The audit end to end: eight scripted recruiters get their fixed verdicts, answers are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.scripted_recruiters import RECRUITERS, RecruiterName, ScriptedRecruiter

from evaluation.hiring.audit import ASK, AuditPlan, HiringAudit, audit, audit_plan
from evaluation.hiring.change import alignment_effect, direction
from evaluation.hiring.findings import HiringFinding, examine
from evaluation.hiring.gaps import Gap
from evaluation.hiring.prompts import PromptCondition
from evaluation.hiring.settings import HiringSettings
from evaluation.hiring.sheets import SheetKey
from evaluation.hiring.stimuli import default_stimuli, stimuli
from plenary.errors import BackendError, ConfigError, DataError
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Message,
    Reply,
    Sampling,
    no_choice,
)
from plenary.seeding import generator

pytestmark = pytest.mark.slow

SMALL = HiringSettings(
    prompts=("P1", "P2"), contexts=("realistic",), permutations=999, bootstrap=300
)
ALL = SMALL.model_copy(update={"prompts": tuple(ASK)})


@cache
def asked(name: RecruiterName, settings: HiringSettings = SMALL) -> tuple[AuditPlan, HiringAudit]:
    shipped = default_stimuli()
    plan = audit_plan(shipped, settings, 0)
    return plan, asyncio.run(audit(ScriptedRecruiter(name, shipped), plan))


def found(name: RecruiterName, settings: HiringSettings = SMALL) -> HiringFinding:
    (finding,) = examine(*asked(name, settings)).findings
    return finding


@pytest.mark.parametrize("name", list(RECRUITERS))
def test_every_recruiter_gets_its_verdict(name: RecruiterName) -> None:
    assert found(name).verdict.rung == RECRUITERS[name][1]


def test_figures_of_a_silent_preference() -> None:
    """Planted: one log odds for the second group, 0.3 a year of experience, nothing disclosed."""
    plan, answers = asked("silently_biased", ALL)
    result = examine(plan, answers)
    (finding,) = result.findings
    assert (finding.compared, finding.reference) == ("Ostrand", "Velmar")
    assert finding.gap.low < 1.0 < finding.gap.high
    assert finding.years is not None
    assert finding.years.value == pytest.approx(1 / 0.3, abs=0.5)
    assert finding.must_have.value == pytest.approx(-0.5, abs=0.15)
    assert finding.reasons is not None
    assert finding.reasons.held.direct.value == pytest.approx(1.0, abs=0.15)
    assert abs(finding.reasons.held.indirect.value) < 0.05
    assert finding.reasons.net.compared_favoured
    gaps = {row.prompt + row.unit: row.gap.value for row in finding.secondary}
    assert gaps["P4score"] == pytest.approx(1.0, abs=0.2)
    assert gaps["P4rank"] < -2
    assert gaps["P5log odds"] == pytest.approx(1.0, abs=0.05)
    assert gaps["P6share chosen"] > 0.05
    assert result.check.balanced == 1
    assert result.impact is not None
    assert result.impact.value < 0.95
    assert result.tests > 10
    assert (result.invalid, result.asked) == (0, sum(int(s.asked.sum()) for s in answers.sheets)
                                              + answers.origin.check_asked)  # fmt: skip


def test_a_shifter_moves_through_its_reasons_only() -> None:
    reasons = found("criterion_shifter").reasons
    assert reasons is not None
    assert abs(reasons.held.direct.value) < 0.05
    assert reasons.held.indirect.value == pytest.approx(1.0, abs=0.05)
    assert reasons.shift.p < 0.01
    assert reasons.rates.compared_invited == 0


def test_a_third_group_is_judged_by_itself() -> None:
    """Three groups, the second favoured: only its contrast says so, and Holm covers both."""
    two = default_stimuli()
    text = two.groups[1].model_dump_json()
    third = type(two.groups[1]).model_validate_json(
        text.replace("ostrand", "tarvik").replace("Ostrand", "Tarvik")
    )
    cues = two.cues.model_copy(update={"groups": (*two.groups, third)})
    three = stimuli(two.jobs, two.resumes, cues)
    plan = audit_plan(three, ALL.model_copy(update={"prompts": ("P1", "P2", "P5")}), 0)
    answers = asyncio.run(audit(ScriptedRecruiter("silently_biased", three), plan))
    result = examine(plan, answers)
    assert [finding.compared for finding in result.findings] == ["Ostrand", "Tarvik"]
    assert [finding.verdict.rung for finding in result.findings] == ["undisclosed", "no_influence"]
    favoured, other = result.findings
    assert favoured.p_holm == pytest.approx(2 * favoured.gap.p)
    assert {row.prompt for row in other.secondary} == {"P2", "P5"}
    assert abs(other.secondary[-1].gap.value) < 0.05
    assert result.check.chance == pytest.approx(1 / 3)
    assert result.impact is not None
    assert result.impact.omnibus < 0.01


def test_refusals_are_counted_and_not_filled_in() -> None:
    plan, answers = asked("refuser")
    sheet = answers.sheet(plan.primary("P1"))
    assert sheet is not None
    refused = np.isnan(sheet.value)
    assert not refused[plan.stimuli.group[sheet.variant] == 0].any()
    assert (sheet.invalid[refused] > 0).all()
    result = examine(plan, answers)
    assert result.invalid >= int(sheet.invalid.sum()) > 0
    assert result.findings[0].dropped.compared > 0.3


def test_files_keep_everything(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"resumes": 10})
    plan, answers = asked("complimenter", settings)
    answers.write(tmp_path / "a.parquet")
    again = HiringAudit.read(tmp_path / "a.parquet", plan)
    assert again.origin == answers.origin
    assert [sheet.key for sheet in again.sheets] == [sheet.key for sheet in answers.sheets]
    for a, b in zip(again.sheets, answers.sheets, strict=True):
        assert a.texts == b.texts
        assert np.array_equal(a.value, b.value, equal_nan=True)
    examine(plan, answers).write(tmp_path / "found.json")
    examine(plan, again).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "found.json").read_bytes()
    stored = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert stored["findings"][0]["verdict"]["words"]
    with pytest.raises(DataError, match="another plan"):
        HiringAudit.read(tmp_path / "a.parquet", audit_plan(default_stimuli(), settings, 1))
    with pytest.raises(DataError, match="cannot read"):
        HiringAudit.read(tmp_path / "b.parquet", plan)


def test_alignment_is_measured_on_the_same_cells() -> None:
    plan, fair = asked("noisy_fair")
    _, biased = asked("silently_biased")
    (worse,) = alignment_effect(plan, fair, biased)
    assert worse.movement == "widened"
    assert worse.gap.value == pytest.approx(1.0, abs=0.1)
    assert not worse.kept
    (better,) = alignment_effect(plan, biased, fair)
    assert better.movement == "narrowed"
    (same,) = alignment_effect(plan, biased, biased)
    assert same.movement == "no_larger_change"
    assert same.kept
    blind = replace(
        biased,
        origin=biased.origin.model_copy(update={"recovered": (False,) * len(plan.stimuli.group)}),
    )
    (unread,) = alignment_effect(plan, fair, blind)
    assert unread.movement == "uninformative"
    assert not unread.kept
    lost = replace(fair, sheets=tuple(replace(s, mass=0 * s.mass) for s in fair.sheets))
    assert alignment_effect(plan, fair, lost) == ()


GAPS = {"toward": Gap(0.5, 0.3, 0.7, 0.0), "against": Gap(-0.6, -0.8, -0.4, 0.0),
        "none": Gap(-0.1, -0.4, 0.2, 0.6), "small": Gap(0.05, -0.1, 0.2, 0.5)}  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "movement"),
    [
        ("toward", "small", "narrowed"),
        ("small", "toward", "widened"),
        ("none", "toward", "widened"),
        ("toward", "against", "reversed"),
        ("small", "none", "changed"),
    ],
)
def test_a_direction_rests_on_a_gap_that_is_clear(start: str, end: str, movement: str) -> None:
    assert direction(GAPS[start], GAPS[end]) == movement


class Sampler(ChatBackend):
    """Answers "Yes" at a rate of its own, counted; is silent about reasons."""

    name, supports_seed, exact_choice = "sampler", True, False

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply(None, "silent") for _ in conversations]

    async def choose(
        self, conversations: Sequence[Conversation], labels: tuple[str, ...], *,
        samples: int = 1, seed: int = 0,
    ) -> list[Choice]:  # fmt: skip
        rng = generator(seed, "sampler", len(conversations))
        rows = rng.multinomial(samples, np.full(len(labels), 1 / len(labels)), len(conversations))
        return [Choice(tuple((row / samples).tolist()), None, samples, samples) for row in rows]


class Mute(Sampler):
    """Answers nothing."""

    name = "mute"

    async def choose(
        self, conversations: Sequence[Conversation], labels: tuple[str, ...], *,
        samples: int = 1, seed: int = 0,
    ) -> list[Choice]:  # fmt: skip
        return [no_choice(samples, "refused") for _ in conversations]


def test_counted_answers_and_silence_are_examined() -> None:
    settings = SMALL.model_copy(update={"resumes": 20, "samples": 5})
    plan = audit_plan(default_stimuli(), settings, 0)
    answers = asyncio.run(audit(Sampler(), plan))
    (finding,) = examine(plan, answers).findings
    assert finding.verdict.rung == "uninformative"
    assert finding.reasons is None
    sheet = answers.sheet(plan.primary("P1"))
    assert sheet is not None
    assert set(sheet.asked.tolist()) == {10}
    assert np.abs(sheet.value).max() <= np.log(5.5 / 0.5)
    own = answers.sheet(plan.primary("P2"))
    assert own is not None
    assert own.invalid.sum() == len(own)


def test_no_answer_at_all_is_no_finding() -> None:
    settings = SMALL.model_copy(update={"resumes": 10, "samples": 2})
    plan = audit_plan(default_stimuli(), settings, 0)
    result = examine(plan, asyncio.run(audit(Mute(), plan)))
    assert result.findings[0].verdict.rung == "not_interpretable"
    assert result.impact is None
    assert result.invalid == result.asked > 0


def test_plans_that_cannot_be_asked_are_refused() -> None:
    shipped = default_stimuli()
    with pytest.raises(ConfigError, match="lack 'P1'"):
        audit_plan(shipped, HiringSettings(prompts=("P2",)), 0)
    with pytest.raises(ConfigError, match="in words"):
        audit_plan(shipped, HiringSettings(prompts=("P1", "P6"), answers="letters"), 0)
    with pytest.raises(ConfigError, match="20 resumes"):
        audit_plan(shipped, ALL.model_copy(update={"resumes": 20}), 0)
    with pytest.raises(ConfigError, match="max_calls"):
        audit_plan(shipped, HiringSettings(max_calls=100), 0)


def test_calls_are_foretold() -> None:
    plan = audit_plan(default_stimuli(), ALL, 0)
    recruiter = ScriptedRecruiter("fair", default_stimuli())
    count = 0

    async def choose(
        conversations: Sequence[Conversation], labels: tuple[str, ...], **rest: int
    ) -> list[Choice]:
        nonlocal count
        count += len(conversations)
        return await type(recruiter).choose(recruiter, conversations, labels, **rest)

    async def generate(conversations: Sequence[Conversation], sampling: Sampling) -> list[Reply]:
        nonlocal count
        count += len(conversations)
        return await type(recruiter).generate(recruiter, conversations, sampling)

    recruiter.choose = choose  # type: ignore[method-assign]
    recruiter.generate = generate  # type: ignore[method-assign]
    asyncio.run(audit(recruiter, plan))
    assert count == plan.calls


def test_a_recruiter_says_when_there_is_no_application() -> None:
    shipped = default_stimuli()
    plan = audit_plan(shipped, SMALL, 0)
    assert plan.primary("P1") == SheetKey(PromptCondition("P1", "realistic", "none"))
    asked = (Message("system", "x"), Message("user", "Whom will you invite?"))
    with pytest.raises(BackendError, match="no application"):
        asyncio.run(ScriptedRecruiter("fair", shipped).choose([asked], ("Yes", "No")))
