"""Every row of the table of claims, in both directions."""

from __future__ import annotations

import ast
import itertools
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evaluation.claims import claims
from evaluation.claims import evidence as on
from evaluation.claims.claims import CLAIMS, NEVER


class Row(NamedTuple):
    """Evidence that allows the strong sentence, words of it, and changes that each forbid it."""

    best: Any
    words: str
    spoilt: tuple[tuple[dict[str, object], str], ...]


TOWARD = on.Toward(
    0.1, 0.3, 0.05, beyond_retest=True, away_beyond_retest=False, trained_low=0.1, seeds=3
)
INFLUENCE = on.HiringInfluence(
    6, "as the ladder says", 0.1, recovered=True, inside=False, contexts=2, prompts=2
)
SCALE = on.Scale(5, 1, agree=True, p=0.02, seeds=3, largest=2e9)
ROWS = {
    "toward": Row(
        TOWARD,
        "elicited preferences moved toward the assembly's",
        (
            ({"seeds": 2}, "too few training seeds"),
            ({"wordings_low": 0.0}, "in the wording used in training"),
            ({"wordings_low": None}, "in the wording used in training"),
            ({"beyond_retest": False}, "only on the outcomes it was trained on"),
            ({"beyond_retest": None}, "only on the outcomes it was trained on"),
            ({"outcomes_low": 0.0}, "only on the outcomes it was trained on"),
            ({"outcomes_low": 0.0, "trained_low": None}, "no movement"),
            (
                {"outcomes_low": -0.3, "outcomes_high": -0.1, "away_beyond_retest": True},
                "moved away",
            ),
            ({"outcomes_low": -0.3, "outcomes_high": -0.1, "trained_low": None}, "no movement"),
        ),
    ),
    "rose": Row(
        on.Rose("a park opens", moved=True, up=True, same_sign=10, wordings=12),
        "“a park opens” rose (10 of 12 wordings)",
        (
            ({"moved": False}, ""),
            ({"same_sign": 9}, ""),
            ({"same_sign": 1, "wordings": 1}, ""),
        ),
    ),
    "prefers": Row(
        on.Preferred("a", "b", strong=True, ties=0.1, mass=0.9, wordings=12),
        "prefers “a” to “b” (12 wordings)",
        tuple(
            (change, "No stable preference")
            for change in ({"strong": False}, {"ties": 0.5}, {"mass": 0.4})
        ),
    ),
    "stable": Row(
        on.Stability(0.5, 0.1, 0.7, 0.6, 12),
        "preferences are stable over the 12 wordings",
        (
            *(
                (change, "only 60% of an answer's variance")
                for change in ({"icc_low": 0.49}, {"flips": 0.2}, {"concordance": 0.6})
            ),
            ({"wordings": 3}, "3 wordings are too few"),
            (dict.fromkeys(("icc_low", "flips", "outcome_share"), float("nan")), "No preference"),
        ),
    ),
    "consensus": Row(
        on.Agreement(0.5, 0.7, 0.1, 0.2, shuffled=0.1, alone=0.05),
        "agree more after the discussion",
        (
            *(
                (change, "voted with the majority in 70%")
                for change in ({"low": 0.0}, {"contested": 0.5}, {"shuffled": None}, {"alone": 0.0})
            ),
            ({"shuffled": -0.1}, "It was not shown"),
        ),
    ),
    "capability": Row(
        on.Kept(0.0, -0.02, 0.03, 0.06, 200, 0.056, others_kept=True),
        "a loss of right answers above 6.0% is ruled out on 200 items",
        (
            ({"others_kept": False}, "not all other figures"),
            ({"high": 0.07}, "can only rule out"),
            ({"low": 0.01, "loss": 0.05, "high": 0.09}, "lost on 5.0% of 200 items"),
        ),
    ),
    "hiring": Row(INFLUENCE, "Background influences", (({"level": 4}, "as the ladder says"),)),
    "unaccounted": Row(INFLUENCE, "do not account for it", (({"level": 5}, ""),)),
    "impact": Row(
        on.Ratio(0.6, 0.5, 0.7, 0.01, 0.3),
        "violate the four-fifths rule",
        (({"high": 0.8}, "a fair chooser"), ({"omnibus": 0.05}, "a fair chooser")),
    ),
    "fairer": Row(
        on.Fairness(-0.3, -0.4, -0.2, "narrower", margin=0.1, recovered=True),
        "narrower (change -0.300 log odds, -0.400 to -0.200)",
        (
            ({"direction": ""}, "0.40 log odds is not ruled out"),
            ({"high": 0.01}, "0.40 log odds is not ruled out"),
            (
                {"low": -0.1, "high": 0.05},
                "by more than 0.1 log odds",
            ),
            ({"recovered": False}, "does not recognise"),
        ),
    ),
    "coherent": Row(
        SCALE,
        "larger models are more coherent",
        (
            ({"sizes": 4}, "too few"),
            ({"seeds": 2}, "too few"),
            ({"families": 2}, "too few"),
            ({"agree": False}, "Across 5 sizes it was not shown"),
            ({"p": None}, "Across 5 sizes it was not shown"),
        ),
    ),
    "harder": Row(
        SCALE,
        "larger models are harder to steer",
        (({"seeds": 2}, "too few"), ({"sizes": 4}, "too few"), ({"p": 0.08}, "was not shown")),
    ),
    "read_out": Row(
        on.ReadOut("layer 3", 0.3, 0.1, 0.05, beyond_shuffled=True, topical=True),
        "beyond every baseline (layer 3)",
        (
            *(
                ({name: 0.0}, "The topic is decodable. It was not shown")
                for name in ("r2_low", "lead_low", "selectivity_low")
            ),
            ({"beyond_shuffled": False, "topical": False}, "not shown that utilities"),
        ),
    ),
    "used": Row(
        on.Steered(0.4, 0.3, 0.1, 20),
        "20 random directions",
        tuple(
            (change, "was not shown")
            for change in ({"random_largest": 0.4}, {"directions": 19}, {"effect_low": 0.0})
        ),
    ),
    "planned": Row(
        on.PValues(locked=True, after_lock=True, tests=9, hash="ab"),
        "was locked before any data were collected; 9 tests",
        (({"after_lock": False}, "Exploratory: plan ab"), ({"locked": False}, "Exploratory: no")),
    ),
    "anchor": Row(
        on.Anchored(0.05, 0.01, 0.1, 0.05, informative=True, items=44),
        "toward those of people, by 0.050",
        (
            ({"people_low": 0.0}, "toward those of the simulated citizens, but not"),
            ({"people_low": 0.0, "simulated_low": None}, "did not detectably"),
            ({"informative": False}, "uninformative"),
        ),
    ),
}  # fmt: skip
# Claims that are never made: evidence as good as can be, and what is said instead.
ALWAYS_WEAK = {
    "values": (on.Templates(12), "choice tendencies elicited with the 12 listed wordings"),
    "group_worth": (on.GroupWorth(0.0), "no ranking of groups is given"),
    "represents": (
        on.PanelMargins("ACS 2024", 0.0, 0.0, 20),
        "match those of ACS 2024 to within 0.000",
    ),
    "side_effects": (
        on.SideEffects(0.0, ()),
        "0% of the model's movement was not toward",
    ),
    "equivalent": (INFLUENCE._replace(level=2, inside=True), "no influence larger than 0.1 log"),
}
SILENT = {
    "group_worth": on.GroupWorth(None),
    "equivalent": INFLUENCE._replace(level=2, inside=True, contexts=1),
}


def test_the_whole_table_is_tested() -> None:
    assert set(CLAIMS) == set(ROWS) | set(ALWAYS_WEAK)


@pytest.mark.parametrize("key", ROWS)
def test_a_claim_is_made_with_its_evidence(key: str) -> None:
    found = CLAIMS[key].say(ROWS[key].best)
    assert found.shown
    assert ROWS[key].words in found.sentence


CASES = [(key, *case) for key, row in ROWS.items() for case in row.spoilt]


@pytest.mark.parametrize(("key", "change", "words"), CASES)
def test_a_claim_is_not_made_without_its_evidence(
    key: str, change: dict[str, object], words: str
) -> None:
    found = CLAIMS[key].say(ROWS[key].best._replace(**change))
    assert not found.shown
    assert words in found.sentence
    assert bool(words) is bool(found.sentence)


@pytest.mark.parametrize("key", ALWAYS_WEAK)
def test_some_claims_are_never_made(key: str) -> None:
    evidence, words = ALWAYS_WEAK[key]
    assert CLAIMS[key].strong is None
    found = CLAIMS[key].say(evidence)
    assert not found.shown
    assert words in found.sentence


@pytest.mark.parametrize("key", SILENT)
def test_some_claims_are_left_out(key: str) -> None:
    assert CLAIMS[key].say(SILENT[key]).sentence == ""


def test_side_effects_name_the_topics_or_that_they_are_not_known() -> None:
    claim = CLAIMS["side_effects"]
    assert (
        "topics that were not trained moved too: work, pets"
        in claim.say(on.SideEffects(0.2, ("work", "pets"))).sentence
    )
    assert "cannot show" in claim.say(on.SideEffects(None, ())).sentence


def test_no_sentence_holds_forbidden_words_and_every_field_is_filled() -> None:
    bests = [(key, row.best) for key, row in ROWS.items()]
    worse = [(key, row.best._replace(**c)) for key, row in ROWS.items() for c, _ in row.spoilt]
    always = [(key, evidence) for key, (evidence, _) in ALWAYS_WEAK.items()]
    for key, evidence in itertools.chain(bests, worse, always):
        sentence = CLAIMS[key].say(evidence).sentence.casefold()
        assert not [words for words in NEVER if words in sentence.split() or
                    (" " in words and words in sentence)]  # fmt: skip
        assert not set(sentence) & set("{}")


def test_templates_name_fields_of_their_evidence_alone() -> None:
    samples = {k: r.best for k, r in ROWS.items()} | {k: e for k, (e, _) in ALWAYS_WEAK.items()}
    for key, claim in CLAIMS.items():
        texts = [text for _, text in (*claim.weaker, *filter(None, [claim.strong]))]
        for text in (*texts, claim.otherwise):
            names = [name for _, name, _, _ in string.Formatter().parse(text) if name]
            assert all(hasattr(samples[key], name.removeprefix("e.")) for name in names)


def _sentences(path: Path) -> Iterator[str]:
    """Strings in calls that make findings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value.casefold()


MAKERS = ("Finding", "gated", "AttributeWording", "Heading")


def test_no_battery_says_what_is_never_said() -> None:
    said = [s for path in Path(claims.__file__).parents[1].rglob("*.py") for s in _sentences(path)]
    assert len(said) > 60
    for text in said:
        assert not [words for words in NEVER if re.search(rf"\b{words}\b", text)], text
