"""Every file that a user hands over: read as it is meant, or refused in a line that says where."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alignment.retention.sets import load_retention_set
from assembly.deliberation.briefing import read_briefing
from census_data.margins import MarginTarget, read_targets, write_targets
from census_data.population import PopulationSettings, load_population
from census_data.sources.mapping import import_table, read_mapping
from census_data.sources.tables import BLOCK
from census_data.store import write_population
from evaluation.claims.preregistration import read_plan
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.importers import import_votes
from evaluation.utility.thurstonian import FitSettings
from personas.panel_file import read_panel, write_panel
from personas.persona import Panel
from personas.sampling.quotas import read_quotas
from personas.sampling.recruit import PanelSettings, recruit
from plenary.commands.fit import fit_votes
from plenary.errors import DataError, PlenaryError
from plenary.models.prices import read_prices
from plenary.outcomes import Catalogue, imported_outcome, load_outcomes
from plenary.pipeline.run import preflight
from plenary.runs.config import load_config
from plenary.safe_text import unescape_formula
from plenary.table_files import read_csv, write_csv

PANEL = recruit(load_population(), PanelSettings(citizens=6, method="systematic"), 4)
OUTCOMES = "id,text,topic\r\nb1,A bridge is built,towns\r\nb2,Écoles stay open,schools\r\n"
MAPPING = """
source: made up
licence: CC0-1.0
universe: adults
year: 2024
weight: w
columns:
  age: {column: age}
  sex: {column: sex}
"""
PEOPLE = "age,sex,w\n34,man,1.5\n71,woman,2\n"
HARD = (
    "=1+1", "+2", "-3", "@x", "\tx", "'=y", "''+z", 'say "no"', "two\nlines", "a\rb", "c\r\nd",
    "line\u2028end", "par\u2029end", "next\u0085line", "a;b", " edge ", "x,y", "'tis", "NaN or not",
)  # fmt: skip


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(read: Callable[[], object], *said: str) -> None:
    """One line of ours that holds every word of `said`."""
    with pytest.raises(PlenaryError) as caught:
        read()
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    for word in said:
        assert word in message, message


# One door for text: encodings, line ends, packing.

ENCODINGS = {
    "plain": lambda text: text.encode(),
    "bom": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16-le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "lf": lambda text: text.replace("\r\n", "\n").encode(),
    "cr": lambda text: text.replace("\r\n", "\r").encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_of_every_encoding_and_line_end(tmp_path: Path, encoding: str) -> None:
    encoded = ENCODINGS[encoding]
    path = write(tmp_path / "o.csv", encoded(OUTCOMES))
    assert load_outcomes(path).texts == ("A bridge is built", "Écoles stay open")
    semicolons = write(tmp_path / "s.csv", encoded(OUTCOMES.replace(",", ";")))
    assert load_outcomes(semicolons) == load_outcomes(path)
    tabs = write(tmp_path / "t.tsv", encoded(OUTCOMES.replace(",", "\t")))
    assert load_outcomes(tabs) == load_outcomes(path)
    lines = '{"text": "One"}\r\n"Deux é"\r\n'
    assert load_outcomes(write(tmp_path / "o.jsonl", encoded(lines))).texts == ("One", "Deux é")
    tree = "outcomes:\r\n- {id: a, text: One, topic: t}\r\n- {id: b, text: Écoles, topic: t}\r\n"
    assert load_outcomes(write(tmp_path / "o.yaml", encoded(tree))).texts == ("One", "Écoles")
    options = '{"t": ["One",\r\n "Écoles"]}'
    assert load_outcomes(write(tmp_path / "o.json", encoded(options))).texts == ("One", "Écoles")
    margins = write(tmp_path / "m.csv", encoded("sex,count\r\nwoman,500\r\nman,500\r\n"))
    (target,) = read_targets(margins)
    assert (target.columns, target.cells) == (("sex",), (("woman", "500"), ("man", "500")))
    mapping = read_mapping(write(tmp_path / "m.yaml", encoded(MAPPING.replace("\n", "\r\n"))))
    people = write(tmp_path / "p.csv", encoded(PEOPLE.replace("\n", "\r\n")))
    assert import_table(people, mapping).values("age").tolist() == [34, 71]


@pytest.mark.parametrize("kind", [".gz", ".zip"])
def test_packed_files(tmp_path: Path, kind: str) -> None:
    def packed(name: str, content: str) -> Path:
        path = tmp_path / f"{name}{kind}"
        if kind == ".gz":
            path.write_bytes(gzip.compress(content.encode()))
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"__MACOSX/._{name}", b"\x00\x05")
                archive.writestr(name, content)
        return path

    assert len(load_outcomes(packed("o.csv", OUTCOMES))) == 2
    assert len(import_votes(packed("v.jsonl", '{"first": "x", "second": "y", "wins": 1, "n": 2}')
                            ).texts) == 2  # fmt: skip
    mapping = read_mapping(packed("m.yaml", MAPPING))
    assert len(import_table(packed("p.csv", PEOPLE), mapping)) == 2
    assert read_quotas(packed("q.yaml", "sex: {woman: [1, 2]}"))[0].upper == 2
    assert load_config(packed("c.yaml", "seed: 3")).seed == 3


def test_an_archive_of_several_files_or_a_damaged_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "o.csv.zip", "w") as archive:
        archive.writestr("a.csv", OUTCOMES)
        archive.writestr("b.csv", OUTCOMES)
    refused(lambda: load_outcomes(tmp_path / "o.csv.zip"), "'a.csv', 'b.csv'", "pack one file")
    write(tmp_path / "o.csv.gz", gzip.compress(OUTCOMES.encode())[:-9])
    refused(lambda: load_outcomes(tmp_path / "o.csv.gz"), "truncated or damaged", "o.csv.gz")


def test_what_is_no_text_is_named_with_its_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", "id,text\na,Caf\xe9\n".encode("latin-1"))
    refused(lambda: load_outcomes(path), "byte 0xe9", "position 13", "line 2", "save it as UTF-8")
    write(path, OUTCOMES.encode("utf-16-le"))
    refused(lambda: load_outcomes(path), "o.csv", "save it as UTF-8")


# Tables.


def test_names_and_cells_with_line_breaks_beyond_a_block(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING.replace("column: sex", (
        'column: "Which sex?\\nOne word"'))))  # fmt: skip
    header = 'age,"Any comments?\r\nFree text","Which sex?\r\nOne word",w\r\n'
    note = f'"first line\nsecond, ""quoted"" line {"x" * 400}"'
    rows = "".join(f"{20 + k % 60},{note},man,{k + 1}\r\n" for k in range(2 * BLOCK // 440))
    path = write(tmp_path / "p.csv", header + rows)
    assert path.stat().st_size > BLOCK + 1000
    people = import_table(path, mapping)
    assert len(people) == 2 * BLOCK // 440
    assert people.weight[-1] == len(people)


def test_a_quote_that_nothing_closes_swallows_no_rows(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    path = write(tmp_path / "p.csv", 'age,sex,w,note\n34,man,1,"x\n71,woman,2,y\n')
    refused(lambda: import_table(path, mapping), "p.csv", "the file")
    votes = write(tmp_path / "v.csv", 'first,second,choice\na,b,"first\nb,a,second\n')
    refused(lambda: import_votes(votes), "v.csv", "the quotes")


@pytest.mark.parametrize("row", ["1", "1,2,3,4"])
def test_ragged_rows_are_named(tmp_path: Path, row: str) -> None:
    path = write(tmp_path / "v.csv", f"first,second,choice\nx,y,first\n{row}\n")
    refused(lambda: import_votes(path), "row 2 (line 3)", "v.csv")
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    people = write(tmp_path / "p.csv", f"{PEOPLE}{row}\n")
    refused(lambda: import_table(people, mapping), "row 3 (line 4)", "p.csv")


def test_repeated_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "first,second,choice,choice\nx,y,first,second\n")
    refused(lambda: import_votes(path), "'choice' twice", "rename one")
    write(path, "first,second,choice,Choice\nx,y,first,second\n")
    refused(lambda: import_votes(path), "'Choice'", "rename one")
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    people = write(tmp_path / "p.csv", "age,sex,w,age\n34,man,1,35\n")
    refused(lambda: import_table(people, mapping), "'age' twice", "rename one")
    table = pa.Table.from_arrays([pa.array(["x"])] * 3, names=["first", "second", "second"])
    pq.write_table(table, tmp_path / "v.parquet")
    refused(lambda: import_votes(tmp_path / "v.parquet"), "'second' twice", "v.parquet")


def test_a_header_that_two_delimiters_split(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "first;second, shown;choice\nx;y;first\n")
    refused(lambda: import_votes(path), "no column for the second")
    write(path, "first;second;choice;a,b\nx;y;first;1,2\n")
    refused(lambda: import_votes(path), "',' and ';'", "quote the names")


def test_semicolons_in_a_table_of_persons(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    path = write(tmp_path / "p.csv", '"age";"sex, as recorded";"sex";"w"\n34;x;man;1.5\n')
    assert import_table(path, mapping).weight.tolist() == [1.5]


@pytest.mark.parametrize("kind", ["category", "large", "int", "float"])
def test_columns_of_parquet_are_read_as_what_they_stand_for(tmp_path: Path, kind: str) -> None:
    sex = ["man", "woman", None, "man"]
    column = {
        "category": pa.array(sex).dictionary_encode(),
        "large": pa.array(sex, pa.large_string()),
        "int": pa.array([1, 2, None, 1], pa.int8()),
        "float": pa.array([1.0, 2.0, None, 1.0]),
    }[kind]
    table = pa.table({"age": [34, 71, 19, 45], "sex": column, "w": [1, 1, 1, 1]})
    pq.write_table(table, tmp_path / "p.parquet")
    text = MAPPING if kind in ("category", "large") else MAPPING.replace(
        "column: sex", "column: sex, recode: {1: man, 2: woman}")  # fmt: skip
    people = import_table(tmp_path / "p.parquet", read_mapping(write(tmp_path / "m.yaml", text)))
    assert [people.label("sex", k) for k in range(4)] == sex


def test_a_pandas_table_with_categories(tmp_path: Path) -> None:
    template = pd.DataFrame({"age": [34, 71], "sex": ["man", "woman"], "w": [1.0, 1.0]})
    template["sex"] = template["sex"].astype("category")
    template.to_parquet(tmp_path / "p.parquet")
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    assert import_table(tmp_path / "p.parquet", mapping).labels("sex") == ("man", "woman")


def test_nested_columns_of_parquet_are_refused(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    pq.write_table(pa.table({"age": [30], "sex": [["man"]], "w": [1]}), tmp_path / "p.parquet")
    refused(lambda: import_table(tmp_path / "p.parquet", mapping), "'sex'", "lists or objects")
    rows = pa.table({"first": [["x"]], "second": ["y"], "choice": ["first"]})
    pq.write_table(rows, tmp_path / "v.parquet")
    refused(lambda: import_votes(tmp_path / "v.parquet"), "['x']", "row 1 of v.parquet")


# Identifiers and choices.


def votes_of(path: Path, catalogue: Catalogue | None = None) -> list[tuple[str, str, float]]:
    table = import_votes(path, catalogue)
    ids = [outcome.id for outcome in table.origin.outcomes]
    cells = table.cells
    return [
        (ids[a], ids[b], w)
        for a, b, w in zip(
            cells.first.tolist(), cells.second.tolist(), cells.wins.tolist(), strict=True
        )
    ]


def test_float_ids_are_kept_in_full(tmp_path: Path) -> None:
    first, second = [4102331.0, 5102332.0, 6102333.0], [5102332.0, 6102339.0, 4102334.0]
    table = pa.table({"first": first, "second": second, "choice": ["first", "second", "first"]})
    pq.write_table(table, tmp_path / "v.parquet")
    assert {name for row in votes_of(tmp_path / "v.parquet") for name in row[:2]} == {
        "4102331", "5102332", "6102339", "6102333", "4102334"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_long_integer_ids_are_kept_in_full(tmp_path: Path, kind: str) -> None:
    a, b = 2**60 + 1, 2**60 + 2
    path = tmp_path / f"v.{kind}"
    if kind == "csv":
        write(path, f"first,second,choice\n{a},{b},{b}\n")
    elif kind == "jsonl":
        write(path, f'{{"first": {a}, "second": {b}, "choice": {b}}}\n')
    else:
        pq.write_table(pa.table({"first": [a], "second": [b], "choice": [b]}), path)
    assert votes_of(path) == [(str(a), str(b), 0.0)]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (float(2**53 + 2), "not an exact number"),
        (float("nan"), "empty outcome"),
        (None, "empty outcome"),
        ("NaN", "empty outcome 'NaN'"),
        ("4.10233E+06", "cut short"),
        ("", "empty outcome"),
        (float("inf"), "not an exact number"),
    ],
)
def test_what_is_no_identifier(tmp_path: Path, first: object, said: str) -> None:
    table = pa.table({"first": [first], "second": ["y"], "choice": ["first"]})
    pq.write_table(table, tmp_path / "v.parquet")
    refused(lambda: import_votes(tmp_path / "v.parquet"), said, "row 1 of v.parquet")


def test_one_id_written_in_two_ways(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "first,second,choice\n1.0,2,first\n1,2,first\n")
    refused(lambda: import_votes(path), "'1'", "'1.0'", "row 2 of v.csv")


def test_choices_that_are_sides_in_the_whole_file(tmp_path: Path) -> None:
    rows = ("3,1,1", "2,1,1", "3,2,1", "2,3,1", "1,2,1", "1,3,1")
    path = write(tmp_path / "v.csv", "\n".join(("first,second,choice", *rows)))
    assert [wins for _, _, wins in votes_of(path)] == [1.0] * 6


def test_choices_that_are_ids_in_the_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "first,second,choice\n3,1,1\n1,2,2\n2,3,3\n2,1,\n")
    assert {(a, b): w for a, b, w in votes_of(path)} == {
        ("3", "1"): 0.0, ("1", "2"): 0.0, ("2", "3"): 0.0, ("2", "1"): 0.0
    }  # fmt: skip
    assert import_votes(path).cells.trials.sum() == 3


@pytest.mark.parametrize(
    "rows",
    [
        ("1,2,1", "2,1,1"),
        ("3,1,1", "3,2,1", "1,3,3"),
        ("a,b,a", "b,a,b", "b,a,a"),
        ("none,x,none", "x,none,x"),
    ],
)
def test_choices_with_two_readings_are_refused(tmp_path: Path, rows: tuple[str, ...]) -> None:
    path = write(tmp_path / "v.csv", "\n".join(("first,second,choice", *rows)))
    if rows[0].startswith("none"):
        assert votes_of(path) == [("none", "x", 1.0), ("x", "none", 1.0)]
        return
    refused(lambda: import_votes(path), "v.csv", "row", "first or second")


def catalogue(*ids: str) -> Catalogue:
    return Catalogue(tuple(imported_outcome(i, f"text of {i}", "here") for i in ids))


def test_positions_and_ids_are_never_mixed(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "first,second,choice\n1,2,first\n0,1,first\n")
    refused(lambda: import_votes(path, catalogue("1", "2", "3")), "'0'", "row 2", "use its ids")
    refused(lambda: import_votes(path, catalogue("001", "002", "003")), "'1'", "row 1")
    assert votes_of(path, catalogue("x", "y", "z")) == [("x", "y", 1.0), ("y", "z", 1.0)]


def test_an_id_that_is_another_ones_text(tmp_path: Path) -> None:
    both = Catalogue((imported_outcome("x", "y", "t"), imported_outcome("y", "z", "t")))
    path = write(tmp_path / "v.csv", "first,second,choice\nx,y,first\n")
    refused(lambda: import_votes(path, both), "'y'", "two outcomes")


@pytest.mark.parametrize("cell", ["", "NaN", "inf", "1_0", "-1", "yes"])
def test_votes_are_a_number(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "v.csv", f"first,second,choice,votes\nx,y,first,{cell}\n")
    refused(lambda: import_votes(path), repr(cell), "row 1 of v.csv")


# YAML and JSON.

REPEATED = {
    "quotas": (
        read_quotas,
        "sex:\n  woman: [5, 6]\nage: {25 to 34: [1, 4]}\nsex:\n  man: [0, 8]\n",
    ),
    "mapping": (read_mapping, f"{MAPPING}  sex: {{column: other}}\n"),
    "config": (load_config, "seed: 1\npanel:\n  citizens: 8\n  by: [sex]\n  citizens: 9\n"),
    "outcomes": (load_outcomes, "outcomes:\n- {id: a,\n   text: x,\n   text: y, topic: t}\n"),
    "margins": (read_targets, "margins: []\nmargins: []\n"),
    "briefing": (read_briefing, "pairs: []\npairs: []\n"),
    "plan": (read_plan, "title: x\nprimary: [retention]\nsettings:\n  seed: 1\n  seed: 2\n"),
    "prices": (read_prices, "openai:x: {prompt: 1, completion: 2}\nopenai:x: {prompt: 3}\n"),
    "retention": (load_retention_set, "name: a\nname: b\n"),
}


@pytest.mark.parametrize("name", REPEATED)
def test_repeated_keys_of_yaml_name_both_lines(tmp_path: Path, name: str) -> None:
    read, text = REPEATED[name]
    path = write(tmp_path / "given.yaml", text)
    refused(lambda: read(path), "given.yaml", "stands in line", "and again in line", "keep one")


def test_keys_that_differ_only_in_quotes_are_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "m.yaml", MAPPING.replace(
        "column: sex", 'column: sex, recode: {1: man, "1": woman}'))  # fmt: skip
    refused(lambda: read_mapping(path), "key '1'", "again in line 9")


def test_merged_keys_may_be_given_anew(tmp_path: Path) -> None:
    text = "panel: &p {citizens: 8, by: [sex]}\nassembly: {table_size: 4}\n"
    assert load_config(write(tmp_path / "c.yaml", text)).panel.citizens == 8
    quotas = "sex: &q {woman: [1, 2]}\nregion: {<<: *q, woman: [3, 4], South: [0, 1]}\n"
    read = read_quotas(write(tmp_path / "q.yaml", quotas))
    assert [(q.attribute, q.category, q.lower) for q in read] == [
        ("sex", "woman", 1), ("region", "woman", 3), ("region", "South", 0)
    ]  # fmt: skip


@pytest.mark.parametrize("text", ['{"sex": {"a": [1, 2]}, "sex": {"b": [1, 2]}}', '{"sex": NaN}'])
def test_json_is_strict(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "q.json", text)
    refused(lambda: read_quotas(path), "q.json", "is not JSON")


def test_words_that_yaml_types_are_taken_as_written(tmp_path: Path) -> None:
    text = MAPPING.replace("column: sex", "column: sx, recode: {1: man, 2: woman}")
    text += "  insured: {column: ins, kind: category, recode: {yes: no, no: 010}, missing: [-9]}\n"
    mapping = read_mapping(write(tmp_path / "m.yaml", text))
    assert mapping.columns["sex"].recode == {"1": "man", "2": "woman"}
    assert mapping.columns["insured"].recode == {"yes": "no", "no": "010"}
    assert mapping.columns["insured"].missing == ("-9",)
    assert mapping.year == 2024
    listed = "outcomes:\n- {id: 010, text: No, topic: 2024-01-01, quantity: 10}\n"
    listed += "- {id: 1e3, text: yes, topic: 1.50}\n"
    outcomes = load_outcomes(write(tmp_path / "o.yaml", listed)).outcomes
    assert [(o.id, o.text, o.topic) for o in outcomes] == [
        ("010", "No", "2024-01-01"), ("1e3", "yes", "1.50")
    ]  # fmt: skip
    assert outcomes[0].quantity == 10
    margins = "margins:\n- {columns: [insured], cells: [[no, 10], [yes, 20.5], [01, 3]]}\n"
    (target,) = read_targets(write(tmp_path / "t.yaml", margins))
    assert [cell[0] for cell in target.cells] == ["no", "yes", "01"]
    quotas = read_quotas(write(tmp_path / "q.yaml", "insured: {yes: [1, 2], 01: [0, 3]}\n"))
    assert [quota.category for quota in quotas] == ["yes", "01"]
    assert load_config(write(tmp_path / "c.yaml", "name: 2024\n")).name == "2024"
    assert load_config(None, ["name=30", "dataset.creator=no"]).dataset.creator == "no"
    refused(lambda: read_quotas(write(tmp_path / "b.yaml", "sex: {woman: [no, yes]}")), "True")
    refused(lambda: read_mapping(write(tmp_path / "n.yaml", MAPPING.replace("CC0-1.0", ""))),
            "None at 'licence'")  # fmt: skip


def test_separators_inside_json_strings_end_no_line(tmp_path: Path) -> None:
    texts = ["One\u2028line", "Two\u2029lines", "Three\u0085"]
    content = "\n".join(json.dumps(text, ensure_ascii=False) for text in texts)
    assert list(load_outcomes(write(tmp_path / "o.jsonl", content)).texts) == texts
    rows = [{"first": texts[0], "second": texts[1], "choice": texts[0]}]
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert votes_of(write(tmp_path / "v.jsonl", content)) == [(texts[0], texts[1], 1.0)]


def test_half_characters_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "o.jsonl", '"One"\n"\\ud800"\n')
    refused(lambda: load_outcomes(path), "line 2", "half a character")
    tree = 'outcomes: [{id: a, text: "\\ud800", topic: t}]'
    refused(lambda: load_outcomes(write(tmp_path / "o.yaml", tree)), "half a character")


@pytest.mark.slow
def test_a_briefing_is_read_before_a_model_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "b.yaml", "pairs: []\npairs: []\n")
    config = load_config(None, [f"assembly.briefing={path}"])
    refused(lambda: preflight(config), "b.yaml", "key 'pairs'")


# Populations.


@pytest.mark.parametrize("age", ["999", "1990", "-9", "17", "121", "NaN", "inf", "1_8", "thirty"])
def test_ages_outside_the_universe_are_refused_at_import(tmp_path: Path, age: str) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    path = write(tmp_path / "p.csv", f"{PEOPLE}{age},man,1\n")
    refused(lambda: import_table(path, mapping), "p.csv", repr(age), "row 3", "missing")


def test_people_without_an_age_are_never_drawn(tmp_path: Path) -> None:
    text = MAPPING.replace("column: age", "column: age, missing: [999]")
    text = text.replace("column: sex", "column: sex, missing: ['']")
    mapping = read_mapping(write(tmp_path / "m.yaml", text))
    rows = "".join(f"{20 + k},man,1\n{30 + k},woman,1\n999,man,50\n40,,50\n" for k in range(12))
    people = import_table(write(tmp_path / "p.csv", "age,sex,w\n" + rows), mapping)
    assert any("24 rows have no age or no sex" in note for note in people.source.notes)
    for seed in range(6):
        panel = recruit(people, PanelSettings(citizens=12, by=("sex",)), seed)
        assert {person.sex for person in panel} == {"man", "woman"}
    alone = import_table(write(tmp_path / "q.csv", "age,sex,w\n999,man,1\n"), mapping)
    refused(lambda: recruit(alone, PanelSettings(citizens=2), 0), "both an age and a sex")


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ("sex: {column: s}", "M", "unknown label 'M'"),
        ("education: {column: s}", "PhD", "'doctorate'"),
        ("education: {column: s, recode: {a: PhD}}", "a", "'doctorate'"),
        ("region: {column: s}", "NaN", "'NaN'"),
        ("region: {column: s, recode: {N: North}}", "S", "'N'"),
        ("household_size: {column: s}", "0", "between 1 and 60"),
        ("household_size: {column: s}", "99", "between 1 and 60"),
        ("hours: {column: s}", "999", "between 0 and 168"),
        ("household_income: {column: s}", "1e300", "too large"),
    ],
)
def test_what_nobody_can_have_is_refused_at_import(
    tmp_path: Path, columns: str, row: str, said: str
) -> None:
    text = MAPPING.replace("  sex: {column: sex}", f"  {columns}")
    mapping = read_mapping(write(tmp_path / "m.yaml", text))
    path = write(tmp_path / "p.csv", f"age,s,w\n30,{row},1\n")
    refused(lambda: import_table(path, mapping), said)


# What plenary writes, it reads.


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_panels_come_back_whole(tmp_path: Path, ending: str) -> None:
    names = [*HARD, "Ann"] if ending != ".csv" else [*HARD[:-1], "Ann"]
    people = [PANEL.personas[k % 6].model_copy(update={
        "id": f"c{k}", "name": name, "occupation": name, "region": None if k % 2 else name})
        for k, name in enumerate(names)]  # fmt: skip
    panel = Panel(tuple(people), np.ones(len(people)), "simple", 1)
    write_panel(panel, tmp_path / f"p{ending}")
    assert read_panel(tmp_path / f"p{ending}").personas == panel.personas


def test_a_panel_with_the_word_nan_is_refused(tmp_path: Path) -> None:
    write_panel(PANEL, tmp_path / "p.csv")
    template = pd.read_csv(tmp_path / "p.csv")
    template.to_csv(tmp_path / "q.csv", index=False, na_rep="NaN")
    refused(lambda: read_panel(tmp_path / "q.csv"), "'NaN'", "row 1", "leave the cell empty")


def test_tables_come_back_whole(tmp_path: Path) -> None:
    rows = [(text, k, "" if k % 2 else text) for k, text in enumerate(HARD)]
    write_csv(tmp_path / "t.csv", ("text", "number", 'odd "name", too'), rows)
    back = read_csv(tmp_path / "t.csv", "table", DataError)
    assert [tuple(unescape_formula(cell) for cell in row.values()) for row in back] == [
        (text, str(k), other) for text, k, other in rows
    ]


def test_rankings_and_votes_come_back_whole(tmp_path: Path) -> None:
    texts = list(dict.fromkeys(text.strip() for text in HARD))
    rows = [
        {"first": a, "second": b, "wins": 3, "trials": 4} for a in texts for b in texts if a < b
    ]
    votes = write(tmp_path / "v.jsonl", "\n".join(map(json.dumps, rows)))
    table = import_votes(votes)
    fit_votes(table, FitSettings(), tmp_path / "fit")
    ranking = read_csv(tmp_path / "fit.csv", "ranking", DataError)
    assert {unescape_formula(row["text"]) for row in ranking} == set(texts)
    listed = write_outcomes(tmp_path / "o.csv", ranking)
    assert set(load_outcomes(listed).texts) == set(texts)
    header = ("first", "second", "wins", "trials")
    write_csv(tmp_path / "v.csv", header, [tuple(row.values()) for row in rows])
    again = import_votes(tmp_path / "v.csv", Catalogue(table.origin.outcomes))
    assert np.array_equal(again.cells.first, table.cells.first)
    table.write(tmp_path / "own.parquet")
    assert AnswerTable.read(tmp_path / "own.parquet").texts == table.texts


def write_outcomes(path: Path, ranking: list[dict[str, str]]) -> Path:
    """The ids and texts of a ranking as they stand in it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("id", "text"), *((row["id"], row["text"]) for row in ranking)])
    return path


def test_margins_and_populations_come_back_whole(tmp_path: Path) -> None:
    target = MarginTarget(columns=("sex",), cells=(("no", 1.5), ("=x", 2.0), ("01", 3.0)))
    write_targets([target], tmp_path / "m.yaml")
    (back,) = read_targets(tmp_path / "m.yaml")
    assert [(label, float(count)) for label, count in back.cells] == list(target.cells)
    mapping = read_mapping(write(tmp_path / "m2.yaml", MAPPING))
    people = import_table(write(tmp_path / "p.csv", PEOPLE), mapping)
    write_population(people, tmp_path / "kept")
    kept = load_population(PopulationSettings(folder=tmp_path / "kept"))
    assert kept.source == people.source
