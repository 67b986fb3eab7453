"""Some citizens vote again in other words: the answers are those of their wording, none twice."""

import asyncio

import numpy as np
import pytest
from scipy.special import expit

from assembly.analysis.variance_components import between_wordings
from assembly.deliberation.paraphrase import ask_paraphrased
from assembly.record.ballots import BEFORE, grid
from assembly.record.ledger import Ledger


def ask(world, backend, folder, small, wordings, seed=3):
    with Ledger(folder / "ledger.sqlite") as calls:
        return asyncio.run(
            ask_paraphrased(backend, wordings, world.texts, world.pairs, small, calls, seed)
        )


def test_every_wording_answers_for_itself_and_the_first_is_not_asked_again(
    world, small, tmp_path
) -> None:
    """The second wording makes everybody fonder of outcome 0."""
    backend = world.backend()
    votes = world.hold(backend, tmp_path, small)
    few, moved = world.systems[:4], tuple(f"Briefly: {text}" for text in world.systems[:4])
    for old, new in zip(few, moved, strict=True):
        mine = backend.utilities[old]
        backend.utilities[new] = mine | {world.texts[0]: mine[world.texts[0]] + 1.0}
    asked = len(backend.seen)
    settings = small.model_copy(update={"follow_up": True, "plenary": True})
    found = ask(world, backend, tmp_path, settings, [few, moved])
    assert found.shape == (2, 4, len(world.pairs), 2)
    laid = grid(votes, BEFORE, len(world.systems), len(world.pairs)).share
    np.testing.assert_allclose(found[0], laid[:, :4].transpose(1, 2, 0))
    assert {c[0].content for c in backend.seen[asked:]} == set(moved)
    assert len(backend.seen) - asked == 4 * len(world.pairs) * 2
    first, second = world.utilities[:4, world.pairs].transpose(2, 0, 1)
    push = (world.pairs[:, 0] == 0).astype(float) - (world.pairs[:, 1] == 0)
    np.testing.assert_allclose(found[1, :, :, 0], expit(first - second + push))
    parts = between_wordings(found)
    assert parts[push == 0] == pytest.approx(0, abs=1e-12)
    assert parts[push != 0].max() > 1e-3


def test_what_is_no_vote_is_no_answer(world, small, tmp_path) -> None:
    backend = world.backend(
        spoil=lambda conversation: "refused" if "2" in conversation[0].content else None
    )
    found = ask(world, backend, tmp_path, small, [world.systems[:4]])
    assert np.isnan(found[0, 2]).all()
    assert np.isfinite(found[0, [0, 1, 3]]).all()
