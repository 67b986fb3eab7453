from __future__ import annotations

import pytest

from plenary.app.verdict import Measured, verdict

BASE = Measured(
    before=0.5, after=0.8, gain=0.3, low=0.1, high=0.5, ceiling=0.9, ceiling_low=0.85,
    ceiling_high=0.95, pairs=70, outcomes=26, citizens=60, invalid=0.0, contested=0.1,
    imputed=0.2, frame="plain", embedded=True,
)  # fmt: skip
NEVER = ("values moved", "represents the citizens", "consensus was reached", "conceals")


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
    said = verdict(BASE._replace(low=low, high=high))
    assert said.tone == tone
    assert words in said.headline


def test_reservations_are_always_there() -> None:
    for measured in (BASE, BASE._replace(low=-1.0, embedded=False)):
        text = " ".join(verdict(measured).not_shown)
        assert "Simulated citizens are not people" in text
        assert "elicited preferences" in text
        assert "one seed" in text


def test_sentences_follow_their_figures() -> None:
    plain = verdict(BASE._replace(embedded=False, imputed=0.0, contested=0.0))
    text = " ".join([plain.headline, *plain.shown, *plain.not_shown])
    for word in (
        "model organism",
        "donor records",
        "holds one half",
        "particular to these",
        "invalid",
    ):
        assert word not in text
    full = verdict(BASE._replace(after=0.97, invalid=0.2))
    text = " ".join([*full.shown, *full.not_shown])
    for word in (
        "model organism",
        "donor records",
        "holds one half",
        "particular to these",
        "invalid",
    ):
        assert word in text


def test_some_sentences_are_never_said() -> None:
    for low, high in ((0.1, 0.5), (-0.1, 0.1), (-0.5, -0.1)):
        said = verdict(BASE._replace(low=low, high=high))
        text = " ".join([said.headline, *said.shown, *said.not_shown]).casefold()
        assert not [words for words in NEVER if words in text]
