from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.errors import DataError
from plenary.outcomes import Catalogue, Outcome, configs_folder, load_outcomes, split_outcomes
from plenary.seeding import generator


def catalogue(sizes: dict[str, int]) -> Catalogue:
    return Catalogue(
        tuple(
            Outcome(id=f"{topic}{k}", text=f"Outcome {k} of {topic}", topic=topic)
            for topic, size in sizes.items()
            for k in range(size)
        )
    )


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_catalogue(tmp_path: Path) -> None:
    text = """
outcomes:
  - {id: a, text: You gain ten dollars, topic: money, ladder: dollars, quantity: 10}
  - {id: b, text: A tax falls, topic: taxes, direction: right}
"""
    loaded = load_outcomes(write(tmp_path / "o.yaml", text))
    assert loaded.texts == ("You gain ten dollars", "A tax falls")
    assert loaded.topics == ("money", "taxes")
    assert loaded.outcomes[0].quantity == 10


def test_published_options_format(tmp_path: Path) -> None:
    options = {"money": ["You gain 1 dollar", "You gain 2 dollars"], "pets": ["You get a dog"]}
    loaded = load_outcomes(write(tmp_path / "options.json", json.dumps(options)))
    assert [o.topic for o in loaded] == ["money", "money", "pets"]
    assert [o.id for o in loaded] == ["money-000", "money-001", "pets-000"]


def test_csv_keeps_commas_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    text = 'text,topic\n"A, with comma",x\n"B on\ntwo lines",\n'
    loaded = load_outcomes(write(tmp_path / "o.csv", text))
    assert loaded.texts == ("A, with comma", "B on\ntwo lines")
    assert [o.topic for o in loaded] == ["x", "all"]


def test_jsonl_of_sentences_and_objects(tmp_path: Path) -> None:
    text = '"One thing"\n{"text": "Another", "id": "z"}\n'
    loaded = load_outcomes(write(tmp_path / "o.jsonl", text))
    assert [o.id for o in loaded] == ["o0000", "z"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("o.txt", "x", "unknown outcome file format 'o.txt'"),
        ("o.yaml", "- a\n", "list under 'outcomes'"),
        ("o.yaml", "outcomes: [", "is not YAML"),
        ("o.json", "[1]", "topic -> list of sentences"),
        ("o.json", "{", "is not JSON"),
        ("o.jsonl", "3\n4\n", "neither a sentence nor an object"),
        ("o.jsonl", '"One"\n', "holds 1 outcomes"),
        ("o.csv", "text,colour\na,red\nb,blue\n", "unknown outcome column 'colour'"),
        ("o.csv", "text\nSame thing\nsame THING\n", "duplicate outcome text 'same THING'"),
        ("o.csv", "text,id\na,x\nb,x\n", "duplicate outcome id 'x'"),
        ("o.csv", 'text,id\na,x\n"",y\n', "'text'"),
        ("o.csv", 'text,id\na,x\n"  ",y\n', "empty text in outcome 'y'"),
        ("o.yaml", "outcomes: [{id: a, topic: t, text: x, colour: red}, 2]", "colour"),
    ],
)
def test_bad_files_are_named_with_their_value(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        load_outcomes(write(tmp_path / name, text))
    assert message in str(caught.value)


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="check the path"):
        load_outcomes(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("text\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="save it as UTF-8"):
        load_outcomes(tmp_path / "latin.csv")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 12), min_size=1).filter(
        lambda sizes: sum(sizes.values()) >= 4
    ),
    st.floats(0.3, 0.7),
    st.integers(0, 5),
)
def test_split_holds_out_its_share_of_every_topic(
    sizes: dict[str, int], share: float, seed: int
) -> None:
    whole = catalogue(sizes)
    split = split_outcomes(whole, share, generator(seed, "split"))
    assert sorted([*split.train, *split.held_out]) == list(range(len(whole)))
    assert abs(len(split.held_out) - share * len(whole)) <= 1
    for topic, size in sizes.items():
        held = sum(whole.outcomes[k].topic == topic for k in split.held_out)
        assert abs(held - share * size) <= 1


def test_split_that_leaves_a_side_empty_is_refused() -> None:
    with pytest.raises(DataError, match=r"held-out share 0\.01"):
        split_outcomes(catalogue({"a": 3}), 0.01, generator(0))


def test_select_keeps_the_given_order() -> None:
    assert catalogue({"a": 3}).select([2, 0]).texts == ("Outcome 2 of a", "Outcome 0 of a")


def test_presets_are_found() -> None:
    assert (configs_folder() / "quickstart.yaml").is_file()


def test_split_is_sorted_integers() -> None:
    split = split_outcomes(catalogue({"a": 6}), 0.5, generator(1))
    assert all(np.all(np.diff(side) > 0) for side in split)
