"""The wording is part of the method: it is pinned word for word."""

from itertools import combinations

import numpy as np
import pytest

from plenary.errors import ConfigError
from plenary.models.base import Message
from plenary.models.parse_label import parse_label
from plenary.prompt_templates import (
    FACTORS,
    LABELS,
    PROMPT_TEMPLATES,
    decision,
    levels,
    plackett_burman,
    prompt_template,
    question,
)

HASHES = {
    "plain": "fe4706fb134f716b",
    "pb-01": "738acadd4c948f76",
    "pb-02": "9950f0b458b148f5",
    "pb-03": "bc1ec46dbe4186fc",
    "pb-04": "c7b2d762a9f3f95f",
    "pb-05": "32cf996e20b106d3",
    "pb-06": "bc8f153a04358b3f",
    "pb-07": "fa501b7cce9336be",
    "pb-08": "af2ee98ddd41f90d",
    "pb-09": "8e5e3310f4cd6873",
    "pb-10": "9dd1c88efb730b65",
    "pb-11": "75615305bbb4e929",
}


def test_plain_template_is_pinned_to_the_letter():
    (message,) = question(PROMPT_TEMPLATES["plain"], "x", "y")
    assert message == Message(
        "user",
        "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.\n"
        "Option A: x\nOption B: y",
    )
    assert LABELS == PROMPT_TEMPLATES["plain"].labels == ("A", "B")
    assert next(iter(PROMPT_TEMPLATES)) == "plain"


def test_every_wording_is_pinned_by_its_hash():
    assert {name: entry.text_hash for name, entry in PROMPT_TEMPLATES.items()} == HASHES


@pytest.mark.parametrize(
    ("one", "other"), list(combinations(range(len(FACTORS)), 2)), ids=lambda k: FACTORS[k].name
)
def test_every_pair_of_factors_is_balanced(one, other):
    design = plackett_burman()
    assert np.bincount(2 * design[:, one] + design[:, other]).tolist() == [3, 3, 3, 3]


def test_main_effects_are_orthogonal_and_each_level_is_used_six_times():
    signs = 2 * plackett_burman() - 1
    assert np.array_equal(signs.T @ signs, 12 * np.eye(len(FACTORS)))
    assert (signs.sum(axis=0) == 0).all()


def test_eight_templates_are_trainable_and_four_held_out_with_both_levels_of_every_factor():
    held_out = [levels(name) for name, entry in PROMPT_TEMPLATES.items() if not entry.trainable]
    assert (len(PROMPT_TEMPLATES), len(held_out)) == (12, 4)
    for factor in FACTORS:
        assert len({row[factor.name] for row in held_out}) == 2
    assert not any(levels("plain").values())
    assert PROMPT_TEMPLATES["plain"].trainable


@pytest.mark.parametrize("name", PROMPT_TEMPLATES)
def test_words_follow_the_levels(name):
    entry, level = PROMPT_TEMPLATES[name], levels(name)
    text = entry.render("first thing", "second thing")
    assert text.index("first thing") < text.index("second thing")
    assert ("better" in text) == level["stem"]
    assert ("neutral rater" in text) == level["persona"]
    assert (entry.system is not None) == level["system"]
    assert entry.offers_no_preference == level["response"]
    assert (entry.after_reasoning is not None) == level["reasoning"]
    assert ("\n" not in text) == level["layout"]
    assert (len(entry.labels[0]) > 1) == level["naming"]
    assert (text.index("Which") > text.index("second thing")) == level["instruction"]
    form = "Give one" if level["reasoning"] else "Answer with"
    assert (text.index(form) > text.index("second thing")) == level["format"]


@pytest.mark.parametrize("name", PROMPT_TEMPLATES)
def test_its_own_labels_are_read_in_answers(name):
    for label in PROMPT_TEMPLATES[name].labels:
        for answer in (label, f"**{label}**", f"Answer: {label}", f"I prefer option {label}."):
            assert parse_label(answer, PROMPT_TEMPLATES[name].labels) == label


def test_reasoning_template_asks_for_reasons_and_then_for_the_label():
    entry = PROMPT_TEMPLATES["pb-08"]
    asked = question(entry, "x", "y", system="persona")
    assert asked[0] == Message("system", f"persona\n\n{entry.system}")
    assert "Answer with" not in asked[-1].content
    *before, reasons, last = decision(entry, asked, "because")
    assert tuple(before) == asked
    assert reasons == Message("assistant", "because")
    assert last.content == "Now decide. Answer with A or B only."
    with pytest.raises(ConfigError, match="'plain' does not ask for reasons"):
        decision(PROMPT_TEMPLATES["plain"], asked, "because")


def test_system_and_preface_stand_before_the_question():
    system, user = question(PROMPT_TEMPLATES["plain"], "x", "y", system="persona", preface="heard")
    assert system == Message("system", "persona")
    assert user.content.startswith("heard\n\nHere are two")


def test_outcomes_with_braces_are_passed_through():
    for entry in PROMPT_TEMPLATES.values():
        assert "{b} and {}" in question(entry, "{b} and {}", "y")[-1].content


def test_hash_changes_with_the_wording():
    plain = PROMPT_TEMPLATES["plain"]
    assert plain.text_hash != type(plain)("plain", 1, plain.text + " ").text_hash
    assert plain.text_hash != type(plain)("plain", 1, plain.text, system="x").text_hash
    assert all(name == entry.id for name, entry in PROMPT_TEMPLATES.items())


def test_unknown_template_is_quoted():
    with pytest.raises(ConfigError, match=r"'fancy'.*plain"):
        prompt_template("fancy")


@pytest.mark.parametrize("name", PROMPT_TEMPLATES)
def test_a_third_answer_can_be_offered_in_any_template(name):
    plain, offering = prompt_template(name), prompt_template(f"{name}+none")
    assert offering.offers_no_preference
    assert offering.trainable == plain.trainable
    assert offering.labels[:2] == plain.labels[:2]
    assert (offering is plain) == plain.offers_no_preference
    if offering is not plain:
        assert offering.id == f"{name}+none"
        assert offering.text_hash != plain.text_hash
        last = offering.after_reasoning or offering.text
        assert f"or with {offering.labels[2]} if you have no preference" in last
