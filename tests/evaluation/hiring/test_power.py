from __future__ import annotations

import pytest

from evaluation.hiring.design import slots
from evaluation.hiring.estimands import contrasts
from evaluation.hiring.power import (
    AuditSize,
    World,
    audit_power,
    logit_pairs,
    mcnemar_pairs,
    pilot_spreads,
    simulated_sheet,
    smallest_gap,
)
from evaluation.hiring.prompts import PromptCondition
from evaluation.hiring.sheets import SheetKey
from evaluation.hiring.stimuli import default_stimuli
from plenary.errors import ConfigError
from plenary.seeding import generator


@pytest.mark.parametrize(
    ("gap", "discordance", "pairs"),
    [(0.02, 0.05, 979), (0.02, 0.10, 1960), (0.02, 0.20, 3923), (0.03, 0.05, 434),
     (0.03, 0.10, 870), (0.03, 0.20, 1742), (0.05, 0.05, 155), (0.05, 0.10, 312),
     (0.05, 0.20, 626), (0.10, 0.10, 77), (0.10, 0.20, 155)],
)  # fmt: skip
def test_mcnemar_pairs_as_published(gap: float, discordance: float, pairs: int) -> None:
    assert abs(mcnemar_pairs(gap, discordance) - pairs) <= 1


@pytest.mark.parametrize(("effect", "plain", "six"), [(0.1, 785, 1211), (0.2, 197, 303),
                                                      (0.3, 88, 135), (0.5, 32, 49)])  # fmt: skip
def test_logit_pairs_as_published(effect: float, plain: int, six: int) -> None:
    assert logit_pairs(effect) == plain
    assert logit_pairs(effect, alpha=0.05 / 6) == six


def test_more_cues_help_where_more_resumes_do_not() -> None:
    size = AuditSize()
    assert audit_power(size, 0.15) == pytest.approx(0.74, abs=0.02)
    assert audit_power(size, 0.0) == pytest.approx(0.05)
    many_resumes = audit_power(size._replace(resumes=12_000), 0.15)
    many_cues = audit_power(size._replace(cues=400), 0.15)
    assert many_resumes < 0.95 < many_cues
    assert audit_power(size, smallest_gap(size)) == pytest.approx(0.8, abs=0.001)


def test_a_pilot_gives_the_spreads_back() -> None:
    stimuli = default_stimuli()
    shown = slots(stimuli, 4, generator(0, "test", "slots"))
    key = SheetKey(PromptCondition("P1", "realistic", "none"))
    found = [
        pilot_spreads(
            simulated_sheet(World(gap=0.3, cue_sd=0.3, pair_sd=0.6), stimuli, shown, key,
                            generator(0, "pilot", k)),
            contrasts(stimuli)[0],
        )
        for k in range(20)
    ]  # fmt: skip
    assert sum(f.cue_sd for f in found) / 20 == pytest.approx(0.3, abs=0.04)
    assert sum(f.pair_sd for f in found) / 20 == pytest.approx(0.6, abs=0.04)


def test_questions_without_an_answer_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"0\.3"):
        mcnemar_pairs(0.3, 0.1)
    with pytest.raises(ConfigError, match="0"):
        logit_pairs(0)
