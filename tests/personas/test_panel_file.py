"""A panel written and read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from census_data.population import load_population
from personas.panel_file import PanelRecord, data_sheet, read_panel, write_panel
from personas.persona import Panel
from personas.sampling.recruit import PanelSettings, recruit
from plenary.errors import DataError

PANEL = recruit(load_population(), PanelSettings(citizens=12, method="systematic"), 4)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"panel{ending}"
    write_panel(PANEL, path)
    back = read_panel(path)
    assert back.personas == PANEL.personas
    assert (back.method, back.seed, back.raked) == (PANEL.method, PANEL.seed, PANEL.raked)
    np.testing.assert_array_equal(back.weight, PANEL.weight)


def test_column_without_any_answer_survives(tmp_path):
    alone = [p.model_copy(update={"occupation": None}) for p in PANEL.personas[:2]]
    write_panel(Panel(tuple(alone), np.ones(2), "weighted", 0), tmp_path / "p.parquet")
    assert [p.occupation for p in read_panel(tmp_path / "p.parquet")] == [None, None]


def test_every_record_says_that_the_name_is_invented(tmp_path):
    write_panel(PANEL, tmp_path / "p.jsonl")
    for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines():
        assert json.loads(line)["name_kind"] == "invented"


def test_refused_files(tmp_path):
    with pytest.raises(DataError, match=r"unknown panel file format 'p.xlsx'; use one of .jsonl"):
        write_panel(PANEL, tmp_path / "p.xlsx")
    with pytest.raises(DataError, match=r"(cannot read panel|panel .* is not UTF-8)"):
        read_panel(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match=r"holds citizens of no panel or of several"):
        read_panel(tmp_path / "empty.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"(cannot read panel|panel .* is not UTF-8)"):
        read_panel(tmp_path / "bad.parquet")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(DataError, match=r"(cannot read panel|panel .* is not UTF-8)"):
        read_panel(tmp_path / "latin.jsonl")


def test_bad_value_is_quoted(tmp_path):
    write_panel(PANEL, tmp_path / "p.parquet")
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    rows[3]["age"] = 7
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"has 7 at 'age': "):
        read_panel(tmp_path / "p.parquet")


def test_citizens_of_ones_own_are_checked(tmp_path):
    write_panel(PANEL, tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text("utf-8")
    (tmp_path / "p.csv").write_text(text.replace("c002,", "c001,"), "utf-8")
    with pytest.raises(DataError, match=r"two citizens of .* have the same id"):
        read_panel(tmp_path / "p.csv")
    weight = str(PANEL.personas[0].weight)
    (tmp_path / "p.csv").write_text(text.replace(weight, "-1", 1), "utf-8")
    with pytest.raises(DataError, match=r"has '-1' at 'weight'"):
        read_panel(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_text(text.replace("inclusion,", "chance,", 1), "utf-8")
    with pytest.raises(DataError, match=r"has .* at 'inclusion'"):
        read_panel(tmp_path / "p.csv")


def test_data_sheet_names_every_field():
    sheet = data_sheet(PANEL)
    assert all(f"| `{name}` |" in sheet for name in PanelRecord.model_fields)
    assert "- method: systematic" in sheet
    assert "- inclusion probabilities: exact" in sheet


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_estimated_inclusion_is_labelled_in_file_and_sheet(tmp_path, ending):
    panel = recruit(load_population(), PanelSettings(citizens=12, by=("sex", "region")), 4)
    assert panel.method == "swap"
    write_panel(panel, tmp_path / f"p{ending}")
    back = read_panel(tmp_path / f"p{ending}")
    assert {persona.inclusion_kind for persona in back} == {"estimated"}
    assert "- inclusion probabilities: estimated" in data_sheet(back)


def test_two_panels_in_one_file(tmp_path):
    write_panel(PANEL, tmp_path / "p.jsonl")
    text = (tmp_path / "p.jsonl").read_text("utf-8")
    (tmp_path / "p.jsonl").write_text(
        text + text.replace('"panel_seed":4', '"panel_seed":5'), "utf-8"
    )
    with pytest.raises(DataError, match=r"of several"):
        read_panel(tmp_path / "p.jsonl")


def test_weights_and_personas_go_together():
    with pytest.raises(DataError, match=r"3 weights for 12 personas"):
        Panel(PANEL.personas, np.ones(3), "weighted", 0)


def test_the_documented_schema_is_that_of_the_file():
    page = Path(__file__).parents[2] / "docs/data/personas.md"
    text = page.read_text("utf-8")
    for name, field in PanelRecord.model_fields.items():
        assert f"| `{name}` |" in text
        assert field.description in text
