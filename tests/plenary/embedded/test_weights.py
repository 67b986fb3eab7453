"""The shipped checkpoint meets the figures of its card, on a quarter of the sample sizes."""

import pytest

from plenary.embedded import card, model_path, unreadable_topics
from plenary.embedded.measure import measure
from plenary.models.local.huggingface import LocalBackend
from plenary.outcomes import default_outcomes

BARS = {
    "own_agreement": 0.90,
    "persona_agreement": 0.80,
    "answer_mass_mean": 0.95,
    "utility_spearman": 0.93,
    "argument_correlation": 0.5,
    "persona_effect_correlation": 0.5,
    "statement_known": 0.9,
}


def test_checkpoint_is_small():
    size = sum(f.stat().st_size for f in model_path().iterdir() if f.name != "CARD.md")
    assert size <= 8_000_000


@pytest.mark.parametrize(("figure", "bar"), BARS.items())
def test_card_meets_the_bars(figure, bar):
    assert card().figures[figure] >= bar


def test_card_order_flips_are_few():
    assert card().figures["order_flips"] <= 0.10


@pytest.fixture(scope="module")
def again():
    return measure(LocalBackend(model_path()), seed=1, scale=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("figure", BARS)
def test_new_draw_of_questions_gives_the_figures_of_the_card(again, figure):
    assert again.figures[figure] == pytest.approx(card().figures[figure], abs=0.08)


def test_unreadable_topics_are_topics_of_the_catalogue():
    topics = set(default_outcomes().topics)
    assert set(card().topics) == topics
    assert unreadable_topics() < topics
    assert len(topics) - len(unreadable_topics()) >= 20
