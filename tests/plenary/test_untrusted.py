from __future__ import annotations

import csv

import pytest
import yaml

from plenary.untrusted import csv_rows, json_tree, yaml_tree


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "2024-13-45",
        "[" * 400,
        "9" * 5000,
        "a: &a [x, x]\n" + "b: [" + "*a, " * 40 + "]",
    ],
)
def test_yaml_that_is_more_than_values_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml_tree(text)


def test_plain_yaml_is_read() -> None:
    assert yaml_tree("a: &x [1, 2.5, yes]\nb: *x") == {"a": [1, 2.5, True], "b": [1, 2.5, True]}


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="too deep"):
        json_tree('{"a":' * 100_000)


def test_csv_rows_are_whole() -> None:
    assert csv_rows(["a,b", "1"]) == [{"a": "1", "b": ""}]
    with pytest.raises(csv.Error, match="line 2 has more cells"):
        csv_rows(["a", "1,2"])
