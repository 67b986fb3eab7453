import numpy as np
import pytest
from support.held import held_from

from assembly.dataset.labels import build_dataset
from assembly.dataset.rows import to_datasets

pytestmark = pytest.mark.filterwarnings("default")


def test_splits_become_datasets_with_typed_columns() -> None:
    made = build_dataset(held_from(np.random.default_rng(0).uniform(0, 1, (2, 12, 6))))
    found = to_datasets(made)
    assert {name: len(part) for name, part in found.items()} == {"train": 4, "held_out": 2}
    assert found["held_out"]["first_id"] == ["o4", "o10"]
    assert found["train"][0]["p"] == made.p[0]
    assert found["train"][0]["strata"][0]["category"] == "East"
    assert found["train"][0]["p_follow_up"] is None
    assert not set(found["train"]["first_id"]) & set(found["held_out"]["first_id"])
