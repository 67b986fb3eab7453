from __future__ import annotations

from importlib import util
from typing import cast

import pytest

from alignment.harness import harness
from alignment.live import LiveModel
from plenary.errors import ConfigError


@pytest.mark.skipif(util.find_spec("lm_eval") is not None, reason="lm_eval is installed")
def test_without_the_extra_it_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"need lm_eval.*pip install 'plenary\[harness\]'"):
        harness(cast("LiveModel", None), ["arc_easy"])
