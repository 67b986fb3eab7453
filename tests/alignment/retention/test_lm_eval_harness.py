from __future__ import annotations

from importlib import util
from typing import cast

import pytest

from alignment.retention.lm_eval_harness import _items, harness
from alignment.training.live import LiveModel
from plenary.errors import ConfigError


@pytest.mark.skipif(util.find_spec("lm_eval") is not None, reason="lm_eval is installed")
def test_without_the_extra_it_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"need lm_eval.*pip install 'plenary\[harness\]'"):
        harness(cast("LiveModel", None), ["arc_easy"])


def test_items_are_matched_by_number_and_only_right_or_wrong_is_compared() -> None:
    before = {"t": [{"doc_id": k, "filter": "none", "acc": float(k < 3)} for k in range(4)]}
    after = {"t": [{"doc_id": k, "filter": "none", "acc": float(k > 0)} for k in (3, 2, 1, 0)]}
    found = _items([before, after], "t", "acc,none")
    assert found is not None
    assert (found.items, found.lost, found.gained, found.change) == (4, 1, 1, 0.0)
    assert _items([before, after], "t", "acc_stderr,none") is None
    assert _items([before, after], "t", "acc,strict") is None
    graded = {"t": [{"doc_id": 0, "filter": "none", "acc": 0.3}]}
    assert _items([graded, graded], "t", "acc,none") is None
