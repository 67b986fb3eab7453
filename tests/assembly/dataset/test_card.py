import re

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from support.held import held_from

from assembly.analysis.reliability import size_curve
from assembly.analysis.variance_components import variance_components
from assembly.dataset.card import UNKNOWN, CardFacts, dataset_card, statements
from assembly.dataset.consensus_dataset import SCHEMA
from assembly.dataset.labels import build_dataset

FACTS = CardFacts(
    name="plenary-consensus",
    population="ACS PUMS 2024",
    geography="United States",
    variables=("age", "sex"),
    licence="CC-BY-4.0",
    census_citation="U.S. Census Bureau, ACS PUMS 2024",
    creator="The plenary authors",
    contact="https://example.org/issues",
    removal="open an issue",
    url="https://example.org/data",
    published="2026-11-25",
    version="0.1.0",
)
RNG = np.random.default_rng(0)
HELD = held_from(RNG.uniform(0.1, 0.9, (2, 12, 6)))


def test_thirteen_statements_are_filled_from_the_run() -> None:
    said = statements(build_dataset(HELD), FACTS)
    assert len(said) == 13
    wanted = (
        "seed 3", "not opinions", "planted:0", "not a poll", "persuading", "region = East (6)",
        "without weights", "persona wording", "Languages: en", "human data: nothing",
        "depend on wording", "CC-BY-4.0", "hiring",
    )  # fmt: skip
    for text, word in zip(said, wanted, strict=True):
        assert word in text
        assert text.endswith(".")


def test_what_was_not_measured_is_said_and_never_a_number() -> None:
    bare = dataset_card(build_dataset(HELD), FACTS)
    assert bare.count(UNKNOWN) >= 6
    assert "nan" not in bare.casefold().replace("governance", "")
    full = FACTS.model_copy(
        update={"wording_icc": (0.71, 0.6, 0.8), "base_model_share": 0.2, "validation": "GSS 2022"}
    )
    y = RNG.uniform(0.2, 0.8, (6, 12, 2, 1, 2, 1))
    budget = variance_components(y, HELD.pairs, exact=True)
    curve = size_curve(HELD.votes, 6, HELD.weights, 1, [4, 12], RNG, draws=5)
    card = dataset_card(build_dataset(HELD), full, budget, curve)
    assert "ICC 0.71 (0.60 to 0.80)" in card
    assert "base model 20.0%" in card
    assert f"discussion {UNKNOWN}" in card
    assert re.search(r"panel draw \d+\.\d% \(\d+\.\d% to \d+\.\d%\)", card)
    assert re.search(r"\| 12 \| 0\.\d{3} \|", card)
    assert "GSS 2022" in card


def test_no_placeholder_survives_and_every_column_is_explained() -> None:
    card = dataset_card(build_dataset(HELD), FACTS)
    assert not re.search(r"More Information Needed|TODO|\{|\}|None", card)
    for name in SCHEMA.names:
        assert f"| `{name}` |" in card
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["language"] == ["en"]
    assert front["size_categories"] == ["n<1K"]


def test_facts_must_be_given() -> None:
    with pytest.raises(ValidationError):
        CardFacts.model_validate({**FACTS.model_dump(), "published": "yesterday"})
    with pytest.raises(ValidationError):
        CardFacts.model_validate({**FACTS.model_dump(), "contact": ""})
