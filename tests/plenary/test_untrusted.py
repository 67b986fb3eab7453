from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from plenary.errors import DataError
from plenary.untrusted import json_tree, read_file, yaml_tree


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


class Ladder(BaseModel):
    rungs: tuple[int, ...]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"rungs: [1, two]", "ladder '.*' has 'two' at 'rungs.1': .*; fix the file"),
        (b"- 1", r"ladder '.*' has \[1\]: .*; fix the file"),
        (b"rungs: [" + b"x" * 500 + b"]", r"has 'x{119}\.\.\. at"),
        (b"rungs: [", "ladder '.*' is not YAML: .*; fix the file"),
        (b"\xff\xfe\xfa", "ladder .* is not UTF-16-LE: byte 0xfa at position 2, line 1"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_wording(
    tmp_path: Path, text: bytes, said: str
) -> None:
    path = tmp_path / "ladder.yaml"
    path.write_bytes(text)
    with pytest.raises(DataError, match=f"(?s){said}"):
        read_file(Ladder, path, "ladder", DataError)


def test_a_file_that_fits_is_read_and_an_absent_one_named(tmp_path: Path) -> None:
    path = tmp_path / "ladder.yaml"
    with pytest.raises(DataError, match=r"cannot read ladder .*: No such file .*; check the path"):
        read_file(Ladder, path, "ladder", DataError)
    path.write_text("rungs: [1, 2]", encoding="utf-8")
    assert read_file(Ladder, path, "ladder", DataError).rungs == (1, 2)
