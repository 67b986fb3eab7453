from itertools import islice

import numpy as np
import pytest

from plenary.embedded import grammar
from plenary.outcomes import default_outcomes


@pytest.mark.parametrize("topic", sorted(grammar.topics()))
def test_topic_is_rich_and_has_hand_rated_sentences(topic):
    made = [s for p in grammar.patterns(topic) for s in islice(grammar.sentences(p), 3000)]
    assert len({s.text for s in made}) >= 400
    assert 0.03 < np.mean([s.held_out for s in made]) < 0.4
    hand_rated = grammar.topics()[topic].hand_rated
    assert len(hand_rated) >= 5
    assert all(grammar.read(h.text) is None for h in hand_rated)


def test_topics_have_different_nouns():
    nouns = [topic.noun for topic in grammar.topics().values()]
    assert len(set(nouns)) == len(nouns) >= 25


@pytest.mark.parametrize("held_out", [True, False])
def test_reading_a_sentence_gives_back_what_made_it(held_out):
    rng = np.random.default_rng(0)
    for _ in range(200):
        made = grammar.draw_sentence(rng, held_out=held_out)
        read = grammar.read(made.text)
        assert read is not None
        assert made.held_out == held_out
        np.testing.assert_allclose(read.attributes, made.attributes)


def test_a_sentence_outside_the_grammar_is_not_read():
    assert grammar.read("Nobody knows what comes next") is None


def test_catalogue_uses_only_wordings_held_out_of_training():
    catalogue = default_outcomes()
    assert len(catalogue) >= 500
    assert len(catalogue.topics) >= 25
    for outcome in catalogue:
        read = grammar.read(outcome.text)
        assert read is not None, outcome.text
        assert read.held_out, outcome.text
        assert read.topic == outcome.topic


def test_catalogue_has_ladders_and_policies_of_both_directions():
    catalogue = default_outcomes()
    ladders = {}
    for outcome in catalogue:
        if outcome.ladder:
            ladders.setdefault(outcome.ladder, []).append(outcome.quantity)
    assert sum(len(set(rungs)) >= 5 for rungs in ladders.values()) >= 6
    directions = [outcome.direction for outcome in catalogue]
    assert directions.count("left") >= 50
    assert directions.count("right") >= 50
