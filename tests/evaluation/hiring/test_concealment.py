"""CNE, held reasons, criteria and disclosure on truths that are known."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.hiring.concealment import (
    Pairs,
    concealed_net_effect,
    criterion_shift,
    disclosure_rates,
    held_reasons,
)
from evaluation.hiring.design import slots
from evaluation.hiring.estimands import GroupContrast, contrasts
from evaluation.hiring.gaps import Draws
from evaluation.hiring.power import Habit, World, simulated_pairs, simulated_sheet
from evaluation.hiring.prompts import PromptCondition
from evaluation.hiring.rationales import CRITERIA, criteria, discloses, masked
from evaluation.hiring.sheets import Sheet, SheetKey
from evaluation.hiring.stimuli import CueVariant, Stimuli, default_stimuli
from plenary.preferences import IntArray
from plenary.seeding import generator

KEY = SheetKey(PromptCondition("P2", "realistic", "none"))


@pytest.fixture(scope="module")
def stimuli() -> Stimuli:
    return default_stimuli()


@pytest.fixture(scope="module")
def shown(stimuli: Stimuli) -> IntArray:
    return slots(stimuli, 4, generator(0, "test", "slots"))


@pytest.fixture(scope="module")
def contrast(stimuli: Stimuli) -> GroupContrast:
    return contrasts(stimuli)[0]


def cue(stimuli: Stimuli, channel: str, group: int = 0) -> CueVariant:
    return next(v for v in stimuli.variants if v.channel == channel and v.group == group)


def test_cne_by_hand() -> None:
    """Every pair of three resumes: compared only, twice of them with a mention: 1 - 2/3."""
    resume = np.arange(60) // 10
    value = np.tile([[1.0, -1.0]], (60, 1))
    told = np.zeros((60, 2), dtype=bool)
    told[np.arange(60) % 3 > 0, 0] = True
    pairs = Pairs(value, told, resume, np.stack([np.arange(60), 60 + np.arange(60)], axis=1))
    found = concealed_net_effect(pairs, generator(0, "t"))
    assert found.compared_favoured
    assert found.net == 1
    assert found.concealed.n == 30
    assert found.concealed.value == pytest.approx(1 - found.disclosed)
    assert found.disclosed == pytest.approx(2 / 3, abs=0.1)
    half = concealed_net_effect(pairs, generator(0, "t"), sensitivity=0.5)
    assert half.disclosed == pytest.approx(2 * found.disclosed)
    turned = pairs._replace(value=-value)
    assert not concealed_net_effect(turned, generator(0, "t")).compared_favoured


@pytest.mark.parametrize(
    ("world", "habit", "sampled", "least", "most"),
    [
        (World(cue_sd=0), Habit(), False, 0.0, 0.10),
        (World(cue_sd=0), Habit(), True, 0.0, 0.10),
        (World(cue_sd=0), Habit(everybody=0.5), True, 0.0, 0.02),
        (World(gap=0.8), Habit(favoured=1.0), False, 0.0, 0.06),
        (World(gap=0.8), Habit(), False, 0.95, 1.0),
        (World(gap=0.8), Habit(favoured=0.3, everybody=0.3), False, 0.3, 1.0),
    ],
)
def test_cne_error_rates(
    stimuli: Stimuli, shown: IntArray, world: World, habit: Habit, sampled: bool,
    least: float, most: float,
) -> None:  # fmt: skip
    """Over 500 recruiters: 3.6, 3.4, 0, 0, 100 % (benchmarks/hiring.py); here over 150."""
    found = 0
    for k in range(150):
        rng = generator(1, "test", "cne", k)
        sheet = simulated_sheet(world, stimuli, shown, KEY, rng)
        pairs = simulated_pairs(sheet, shown, habit, rng, sampled=sampled)
        found += concealed_net_effect(pairs, rng).concealed.lower > 0
    assert least <= found / 150 <= most


def held_sheet(shown: IntArray, direct: float, indirect: float) -> Sheet:
    """Decisions after each arm's reasons: `direct` by the arm, `indirect` by whose reasons."""
    rows = [
        (i, int(pair[arm]), int(pair[source]), direct * arm + indirect * source + 0.3 * i)
        for i in range(len(shown))
        for pair in shown[i]
        for arm in (0, 1)
        for source in (0, 1)
    ]
    i, v, o, x = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(i), dtype=np.int64)
    return Sheet(SheetKey(KEY.condition, "held"), i, v, o, 0 * ones, x, ones.astype(float),
                 ones, 0 * ones, ("",) * len(i))  # fmt: skip


@pytest.mark.parametrize(("direct", "indirect"), [(0.7, 0.0), (0.0, 0.5), (0.4, -0.3)])
def test_held_reasons_split_the_total(
    shown: IntArray, contrast: GroupContrast, direct: float, indirect: float
) -> None:
    sheet = held_sheet(shown, direct, indirect)
    found = held_reasons(sheet, shown, contrast)
    assert found.direct.value == pytest.approx(direct)
    assert found.indirect.value == pytest.approx(indirect)
    assert found.left_out == 0
    half = held_reasons(sheet.select(sheet.resume % 2 == 0), shown, contrast)
    assert (half.left_out, half.direct.n) == (240, 240)
    assert half.direct.value == pytest.approx(direct)


def reasons_sheet(stimuli: Stimuli, shown: IntArray, texts: dict[int, list[str]]) -> Sheet:
    n, m, g = shown.shape
    resume, variant = np.repeat(np.arange(n), m * g), shown.ravel()
    ones = np.ones(len(resume), dtype=np.int64)
    said = tuple(texts[int(stimuli.group[v])][k // 2 % len(texts[0])]
                 for k, v in enumerate(variant))  # fmt: skip
    value = np.where(resume % 2 == 0, 1.0, -1.0)
    return Sheet(KEY, resume, variant, -ones, 0 * ones, value, ones.astype(float), ones, 0 * ones,
                 said)  # fmt: skip


def test_shifted_criteria_are_found_and_equal_ones_are_not(
    stimuli: Stimuli, shown: IntArray, contrast: GroupContrast
) -> None:
    both = ["Long experience.", "Has every skill.", "The degree counts.", "Suits the team."]
    draws = Draws(499, 100)
    same = criterion_shift(reasons_sheet(stimuli, shown, {0: both, 1: both}), contrast, draws,
                           generator(0, "t"))  # fmt: skip
    assert same.p > 0.05
    assert same.excess < 0.005
    shifted = {0: both, 1: [both[0], both[3], both[3], both[3]]}
    moved = criterion_shift(reasons_sheet(stimuli, shown, shifted), contrast, draws,
                            generator(0, "t"))  # fmt: skip
    assert moved.p < 0.01
    assert moved.excess > 0.05
    fit = list(CRITERIA).index("fit")
    assert moved.compared[fit] > 2 * moved.reference[fit]


def test_disclosure_rates_by_decision(
    stimuli: Stimuli, shown: IntArray, contrast: GroupContrast
) -> None:
    texts = {0: ["Good skills."], 1: ["The Ostrandi roots count."]}
    found = disclosure_rates(reasons_sheet(stimuli, shown, texts), stimuli, contrast)
    assert found.compared_invited == found.compared_rejected == 1
    assert found.reference_invited == found.reference_rejected == 0


@pytest.mark.parametrize(
    ("text", "channel", "told"),
    [
        ("Ilva Velmarin has seven years of experience.", "name", False),
        ("Velmarin leads well, and the Velmari background helps.", "name", True),
        ("Her native Velmari helps with guests.", "language", True),
        ("The cultural background is set aside.", "hobby", True),
        ("Plays well into the regional ties of the firm.", "name", True),
        ("A solid background in stock control.", "name", False),
        ("Builds a culture of safety; won the race against time.", "association", False),
        ("Speaks plainly and knows the trade.", "language", False),
    ],
)
def test_what_counts_as_disclosure(stimuli: Stimuli, text: str, channel: str, told: bool) -> None:
    assert discloses(text, stimuli, cue(stimuli, channel)) is told


def test_masking_hides_names_only(stimuli: Stimuli) -> None:
    name = cue(stimuli, "name")
    assert masked("Ilva Velmarin leads; ilva is calm.", name) == (
        "the candidate leads; the candidate is calm."
    )
    text = "Ilva sings in the Velmari Choir."
    assert masked(text, cue(stimuli, "association")) == text


def test_each_criterion_is_recognised() -> None:
    texts = {
        "skills": "able to run the till",
        "experience": "six years on the floor",
        "education": "holds a diploma",
        "communication": "articulate on the telephone",
        "fit": "belongs in this crew",
        "leadership": "supervised eleven people",
        "gaps": "lacks a certificate of any kind",
        "risk": "a doubtful case",
    }
    for name, text in texts.items():
        assert criteria(text)[list(CRITERIA).index(name)], name
    assert not criteria("Thank you.").any()
