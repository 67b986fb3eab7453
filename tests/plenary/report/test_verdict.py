from __future__ import annotations

import pytest

from evaluation.claims.claims import NEVER, Finding
from evaluation.claims.evidence import Agreement, PanelMargins, Toward
from plenary.report.verdict import Controls, VerdictFigures, verdict

BASE = VerdictFigures(
    before=0.5, after=0.8, after_low=0.7, gain=0.3, low=0.1, high=0.5, ceiling=0.9,
    ceiling_low=0.85, ceiling_high=0.95, pairs=70, outcomes=26,
    citizens=60, invalid=0.0, contested=0.1, imputed=0.2, template="plain", embedded=True,
    wordings=7,
    toward=Toward(
        0.1, 0.5, None, beyond_retest=True, away_beyond_retest=False, trained_low=None, seeds=1
    ),
    margins=PanelMargins("a census", 0.02, 0.1, 12),
    agreement=Agreement(0.7, 0.8, 0.05, 0.1, None, None),
)  # fmt: skip


def ending(low: float, high: float) -> VerdictFigures:
    toward = BASE.toward._replace(outcomes_low=low, outcomes_high=high, away_beyond_retest=high < 0)
    return BASE._replace(low=low, high=high, toward=toward)


@pytest.mark.parametrize(
    ("low", "high", "tone", "words"),
    [
        (0.01, 0.5, "moved", "moved toward"),
        (-0.1, 0.5, "unmoved", "no movement"),
        (0.0, 0.5, "unmoved", "no movement"),
        (-0.5, -0.1, "away", "moved away"),
    ],
)
def test_headline_hangs_on_the_interval(low: float, high: float, tone: str, words: str) -> None:
    said = verdict(ending(low, high))
    assert said.tone == tone
    assert words in said.headline


def test_reservations_are_always_there() -> None:
    for measured in (BASE, ending(-1.0, 0.5)._replace(embedded=False)):
        said = verdict(measured)
        text = " ".join((*said.not_shown, *said.reading))
        assert "Simulated citizens are not people" in text
        assert "Elicited preferences are not motives" in text
        assert "the 7 listed wordings" in text
        assert "speaks for nobody" in text
        assert "one seed" in text


def test_answers_about_words_that_the_model_was_not_taught_mean_nothing() -> None:
    said = " ".join(verdict(BASE._replace(own_outcomes=True)).reading)
    assert "mean nothing" in said
    foreign = BASE._replace(own_outcomes=True, embedded=False)
    for measured in (BASE, foreign):
        assert "mean nothing" not in " ".join(verdict(measured).reading)


def test_sentences_follow_their_figures() -> None:
    plain = verdict(BASE._replace(embedded=False, imputed=0.0, contested=0.0))
    text = " ".join([plain.headline, *plain.shown, *plain.not_shown, *plain.reading])
    for word in (
        "model organism",
        "imputed from",
        "includes one half",
        "particular to these",
        "invalid",
    ):
        assert word not in text
    full = verdict(BASE._replace(after=0.99, after_low=0.97, invalid=0.2))
    text = " ".join([*full.shown, *full.not_shown, *full.reading])
    for word in (
        "model organism",
        "imputed from",
        "includes one half",
        "particular to these",
        "invalid",
    ):
        assert word in text


def test_some_sentences_are_never_said() -> None:
    for low, high in ((0.1, 0.5), (-0.1, 0.1), (-0.5, -0.1)):
        said = verdict(ending(low, high))
        text = " ".join([said.headline, *said.shown, *said.not_shown, *said.reading]).casefold()
        assert not [words for words in NEVER if f" {words} " in text]


def test_movement_that_re_asking_gives_is_none() -> None:
    said = verdict(BASE._replace(toward=BASE.toward._replace(beyond_retest=False)))
    assert said.tone == "unmoved"
    assert "no movement" in said.headline


def test_no_direction_away_that_re_asking_gives_too() -> None:
    said = verdict(ending(-0.5, -0.1)._replace(toward=BASE.toward._replace(
        outcomes_low=-0.5, outcomes_high=-0.1, beyond_retest=False, away_beyond_retest=False
    )))  # fmt: skip
    assert said.tone == "unmoved"
    assert "no movement" in said.headline


def test_one_panel_is_learnt_only_where_the_whole_interval_lies_above_the_ceiling() -> None:
    text = " ".join(verdict(BASE._replace(after=0.97, after_low=0.93)).shown)
    assert "particular to these" not in text


def test_findings_stand_on_the_side_of_their_evidence() -> None:
    both = (Finding("It holds.", True), Finding("It may hold.", False), Finding("", False))
    said = verdict(BASE._replace(findings=both, risen=("“a” rose.",)))
    assert "It holds." in said.shown
    assert "It may hold." in said.not_shown
    assert "" not in said.not_shown
    assert any("“a” rose." in line for line in said.shown)


CONTROLS = Controls(
    seeds=5, gain=0.2, low=0.1, high=0.3, below=("shuffled", "random", "no_persona"),
    level=("pre_deliberation", "single_citizen"), farther=("pre_deliberation",),
    missing=("format_only",),
)  # fmt: skip


def test_control_arms_say_what_they_allow_and_no_more() -> None:
    said = verdict(BASE._replace(controls=CONTROLS))
    shown, left = " ".join(said.shown), " ".join(said.not_shown)
    assert "Over 5 seeds of training the gain is +20.0 points (95 % +10.0 to +30.0)" in shown
    assert "that of the arms shuffled, random, no persona" in shown
    assert "The arms pre deliberation share much" in shown
    assert "majorities than pre deliberation, single citizen." in left
    assert "nearer to the assembly's shares than single citizen." in left
    assert "format only were not run" in left
    assert "without control arms" not in left
    assert "one assembly" in left


def test_beating_every_arm_leaves_nothing_open_but_the_assembly() -> None:
    every = (*CONTROLS.below, *CONTROLS.level, *CONTROLS.missing)
    whole = CONTROLS._replace(below=every, level=(), farther=(), missing=())
    left = " ".join(verdict(BASE._replace(controls=whole)).not_shown)
    for words in ("majorities than", "nearer to", "not run"):
        assert words not in left
    nothing = verdict(BASE._replace(controls=whole._replace(below=(), level=every)))
    assert "larger than that of" not in " ".join(nothing.shown)
