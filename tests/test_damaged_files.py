"""Files with something wrong in them: read, or refused in one line of ours, never a bug."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.bench import Bench

from alignment.training.adapter import read_manifest as adapter_manifest
from assembly.deliberation.briefing import read_briefing
from assembly.record.ballots import Votes
from census_data.margins import read_targets
from census_data.population import PopulationSettings, load_population
from census_data.sources.mapping import import_table, read_mapping
from census_data.sources.pums import import_pums
from census_data.store import write_population
from evaluation.claims.preregistration import read_plan
from evaluation.elicitation.importers import import_votes
from evaluation.utility.thurstonian import UtilityFit
from personas.panel_file import read_panel, write_panel
from personas.sampling.quotas import read_quotas
from personas.sampling.recruit import PanelSettings, recruit
from personas.survey.survey import load_survey
from plenary.commands.show import ADAPTER_MANIFEST, describe
from plenary.errors import PlenaryError
from plenary.models.planted import open_spec as open_planted
from plenary.models.prices import read_prices
from plenary.models.settings import DEFAULTS
from plenary.outcomes import load_outcomes
from plenary.runs.config import load_config
from plenary.runs.directory import read_manifest
from plenary.runs.records.base import read_record
from plenary.runs.records.measures import RetentionRecord

pytestmark = pytest.mark.slow

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

GOOD_MARGINS = "sex,count\nwoman,500\nman,500\n"
GOOD_VOTES = 'first,second,choice\nx,y,first\ny,z,"second"\nz,x,no preference\n'
GOOD_PLAN = "title: x\nprimary: [retention]\nsettings: {seed: 1, design.train_pairs: 20}\n"
GOOD_BRIEFING = "pairs:\n- {first: a, second: b, for_first: [x], for_second: [y]}\n"
GOOD_GRAPH = json.dumps({
    "options": [{"id": 0, "description": "x"}, {"id": 1, "description": "y"}],
    "edges": {"(0, 1)": {"option_A": {"id": 0}, "option_B": {"id": 1}, "probability_A": 0.7,
                         "aux_data": {"original_parsed": ["A", "B"], "choice_probs": [
                             {"p_a": 0.3, "direction": "flipped"}]}}},
    "training_edges": [[0, 1]],
})  # fmt: skip
PUMS = (
    "SERIALNO", "PWGTP", "STATE", "AGEP", "SEX", "RAC1P", "HISP", "SCHL", "FOD1P", "MAR", "ESR",
    "COW", "OCCP", "INDP", "WKHP", "PINCP", "CIT", "ENG", "MIL", "DIS", "HICOV", "JWTRNS",
    "RELSHIPP",
)  # fmt: skip
GOOD_PUMS = (
    ",".join(PUMS) + "\n2024HU1,12,06,34,1,1,01,21,,1,1,1,0010,0170,40,50000,1,,4,2,1,1,20\n"
)


def good_files(folder: Path) -> dict[str, tuple[Callable[[Path], object], bytes]]:
    """Name of a good file -> its reader and its content."""
    mapping = read_mapping(write(folder / "mapping.yaml", MAPPING))

    def panel(ending: str) -> bytes:
        write_panel(PANEL, folder / f"panel{ending}")
        return (folder / f"panel{ending}").read_bytes()

    table = import_votes(write(folder / "votes.csv", GOOD_VOTES))
    table.write(folder / "own.parquet")
    rows = pa.table({"first": ["x", "y"], "second": ["y", "z"], "choice": ["first", "second"]})
    pq.write_table(rows, folder / "votes.parquet")
    pq.write_table(pa.table({"age": [30], "sex": ["man"], "w": [1.0]}), folder / "people.parquet")

    def survey(path: Path) -> object:
        for part in ("survey.json", "shares.csv"):
            if part != path.name:
                write(folder / "survey" / part, SURVEY[part])
        return load_survey(path.parent)

    (folder / "survey").mkdir()

    def people(path: Path) -> object:
        return import_table(path, mapping)

    return {
        "o.csv": (load_outcomes, OUTCOMES.encode()),
        "o.tsv": (load_outcomes, OUTCOMES.replace(",", "\t").encode()),
        "o.jsonl": (load_outcomes, b'{"text": "One", "id": 4}\n"Two"\n'),
        "o.json": (load_outcomes, b'{"towns": ["One", "Two"]}'),
        "o.yaml": (load_outcomes, b"outcomes:\n- {id: a, text: x, topic: t, quantity: 3}\n"
                                  b"- {id: b, text: y, topic: t}\n"),
        "v.csv": (import_votes, GOOD_VOTES.encode()),
        "v.jsonl": (import_votes, b'{"a": 1, "b": 2, "p": 0.5}\n{"a": 2, "b": 3, "p": 0.1}\n'),
        "v.json": (import_votes, GOOD_GRAPH.encode()),
        "v.parquet": (import_votes, (folder / "votes.parquet").read_bytes()),
        "own.parquet": (import_votes, (folder / "own.parquet").read_bytes()),
        "panel.jsonl": (read_panel, panel(".jsonl")),
        "panel.csv": (read_panel, panel(".csv")),
        "panel.parquet": (read_panel, panel(".parquet")),
        "m.yaml": (read_mapping, MAPPING.encode()),
        "people.csv": (people, PEOPLE.encode()),
        "people.csv.gz": (people, gzip.compress(PEOPLE.encode())),
        "people.parquet": (people, (folder / "people.parquet").read_bytes()),
        "psam_p06.csv": (lambda path: import_pums([path], [], 2024), GOOD_PUMS.encode()),
        "t.csv": (read_targets, GOOD_MARGINS.encode()),
        "t.yaml": (read_targets, b"margins:\n- {columns: [sex], cells: [[man, 1], [woman, 2]]}\n"),
        "q.yaml": (read_quotas, b"sex: {woman: [1, 2], man: [0, 3]}\n"),
        "q.json": (read_quotas, b'{"sex": {"woman": [1, 2]}}'),
        "q.csv": (read_quotas, b"attribute,category,lower,upper\nsex,woman,1,2\n"),
        "plan.yaml": (read_plan, GOOD_PLAN.encode()),
        "briefing.yaml": (read_briefing, GOOD_BRIEFING.encode()),
        "prices.yaml": (read_prices, b"openai:x: {prompt: 1, completion: 2.5}\n"),
        "config.yaml": (load_config, b"name: one\nseed: 3\npanel: {citizens: 8, by: [sex]}\n"),
        "planted.json": (
            lambda path: open_planted(str(path), None, None, DEFAULTS),
            b'{"utilities": {"a": 1.0, "b": -0.5}, "sigma": 0.5}',
        ),
        "survey/shares.csv": (survey, SURVEY["shares.csv"]),
        "survey/survey.json": (survey, SURVEY["survey.json"]),
        "show.json": (describe, b'{"a": 1, "b": [1, 2]}'),
        "show.parquet": (describe, (folder / "own.parquet").read_bytes()),
    }  # fmt: skip


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


SURVEY = {
    "survey.json": json.dumps({
        "name": "town", "source": "made up",
        "items": {"bus": {"about": "buses", "answers": ["yes", "no"]}},
        "groupings": {"sex": {"attribute": "sex", "groups": {"f": ["woman"], "m": ["man"]}}},
    }).encode(),
    "shares.csv": b"item,by,stratum,response,n,share\nbus,all,all,1,9,0.5\nbus,all,all,2,9,0.5\n"
                  b"bus,sex,f,1,4,0.5\nbus,sex,f,2,4,0.5\n",
}  # fmt: skip
WORDS = (
    b"NaN", b"", b"-9", b"1e400", b"9" * 400, b"\x00", b"\xff", "\u2028".encode(), b'"', b"'", b"[",
    b"null", b"true", b"1.5", b"\r", b"\n\n", b";", b"\t", b"{}", b"[[]]", b"2024-13-45", b"-",
    b"=1+1", b"\\ud800", b"0x1F", b"x" * 70_000, b"1_0", b"inf", b"*a", b"&a", b"<<",
    b": ", b"\xef\xbb\xbf",
)  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with one or two things wrong in it."""
    kind = rng.randrange(9)
    at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[to:]
    if kind == 2:
        return content[:at] + content[at:to] * 2 + content[to:]
    if kind == 3:
        return (
            content[:at] + rng.choice(WORDS) + content[min(at + rng.randrange(4), len(content)) :]
        )
    if kind == 4:
        parts = content.split(b",")
        rng.shuffle(parts)
        return b",".join(parts)
    if kind == 5:
        lines = content.split(b"\n")
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
        return b"\n".join(lines)
    if kind == 6:
        return content.decode("utf-8", "replace").encode(
            rng.choice(("utf-16", "latin-1")), "replace"
        )
    if kind == 7:
        flipped = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    words = content.replace(b"\n", b",").split(b",")
    return content.replace(rng.choice(words) or b"x", rng.choice(WORDS))


NAMES = (
    "o.csv", "o.tsv", "o.jsonl", "o.json", "o.yaml", "v.csv", "v.jsonl", "v.json", "v.parquet",
    "own.parquet", "panel.jsonl", "panel.csv", "panel.parquet", "m.yaml", "people.csv",
    "people.csv.gz", "people.parquet", "psam_p06.csv", "t.csv", "t.yaml", "q.yaml", "q.json",
    "q.csv", "plan.yaml", "briefing.yaml", "prices.yaml", "config.yaml", "planted.json",
    "survey/shares.csv", "survey/survey.json", "show.json", "show.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_damage_ends_in_an_error_that_is_not_ours(tmp_path: Path, name: str) -> None:
    files = good_files(tmp_path)
    assert set(files) == set(NAMES)
    read, content = files[name]
    path = write(tmp_path / name, content)
    read(path)
    rng = random.Random(name)
    for _ in range(60):
        found = damaged(damaged(content, rng) or b"\n" if rng.random() < 0.3 else content, rng)
        path.write_bytes(found)
        with contextlib.suppress(PlenaryError):
            read(path)
    for other in (b"", b"\x00" * 64, bytes(range(256)), gzip.compress(content), b"PAR1" * 9):
        path.write_bytes(other)
        with contextlib.suppress(PlenaryError):
            read(path)
    path.unlink()
    refused(lambda: read(path), path.name)
    path.mkdir()
    refused(lambda: read(path), path.name)


COMMANDS = (
    ("fit", "GIVEN"),
    ("fit", "votes.csv", "--outcomes", "GIVEN"),
    ("compare", "votes.csv", "GIVEN"),
    ("show", "GIVEN"),
    ("personas", "check", "GIVEN"),
    ("personas", "validate", "--survey", "GIVEN", "--model", "survey:shares"),
    ("census", "import", "GIVEN", "--mapping", "map.yaml"),
    ("census", "import", "people.csv", "--mapping", "GIVEN"),
    ("census", "import", "GIVEN"),
    ("census", "rake", "--margins", "GIVEN"),
    ("census", "rake", "--folder", "GIVEN", "--to", "sex"),
    ("preregister", "check", "GIVEN"),
    ("preregister", "lock", "GIVEN"),
    ("elicit", "--outcomes", "GIVEN", "--pairs", "2", "--dry-run"),
    ("run", "GIVEN", "--dry-run", "--set", "nothing=1"),
    ("recruit", "--quota", "GIVEN", "--method", "lottery"),
    ("retention", "run", "--harness", "GIVEN"),
    ("retention", "GIVEN"),
    ("evaluate-models", "--run", "GIVEN"),
    ("pool", "GIVEN", "run"),
    ("view", "GIVEN"),
)
OPTIONS = (
    ("personas", "validate", "--citizens", "0", "--model", "survey:shares"),
    ("elicit", "--pairs", "-1", "--dry-run"),
    ("elicit", "--pairs", "0", "--design", "swiss", "--model", "embedded"),
    ("elicit", "--exists", "maybe", "--model", "embedded", "--answers", "a.parquet"),
    ("fit", "votes.csv", "--exists", "maybe"),
    ("compare", "votes.csv", "votes.csv", "--exists", "maybe"),
    ("control", "--dose", "rank=1e99"),
    ("control", "--dose", "rank=inf"),
)
BAD: dict[str, bytes | None] = {
    "empty.csv": b"",
    "zeros.jsonl": b"\0" * 60,
    "binary.parquet": bytes(range(256)),
    "deep.json": b"[" * 3000,
    "nan.json": b'{"a": NaN}',
    "latin.yaml": "sex: {é: [1, 2]}".encode("latin-1"),
    "list.yaml": b"- 1\n- [2]\n",
    "keys.yaml": b"1: 2\n? [a]\n: 3\n",
    "short.csv": b"first,second,choice\nx,y\n",
    "torn.zip": b"PK\3\4xx",
    "torn.csv.gz": b"\x1f\x8bzz",
    "folder.csv": None,
    "absent.csv": b"",
    "nul\0name.csv": b"",
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_ends_in_a_bug(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    bench = Bench(tmp_path, monkeypatch, capsys)
    write(tmp_path / "votes.csv", GOOD_VOTES)
    write(tmp_path / "people.csv", PEOPLE)
    write(tmp_path / "map.yaml", MAPPING)
    for name, content in BAD.items():
        if content is None:
            (tmp_path / name).mkdir()
        elif content or name == "empty.csv":
            write(tmp_path / name, content)
        answer = bench.here(*(name if word == "GIVEN" else word for word in command))
        assert answer.code in (2, 3) or command[0] == "show", (name, answer.err)
        assert "this is a bug" not in answer.err


@pytest.mark.parametrize("command", OPTIONS, ids=" ".join)
def test_no_value_of_an_option_ends_in_a_bug(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    bench = Bench(tmp_path, monkeypatch, capsys)
    write(tmp_path / "votes.csv", GOOD_VOTES)
    answer = bench.here(*command)
    assert answer.code == 2, answer
    assert command[-1] in answer.err or command[2] in answer.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", [b"", b"\0\0", bytes(range(256)), b"{}", b"[]", b"nul"])
def test_damaged_records_of_a_run(tmp_path: Path, content: bytes) -> None:
    stem = write(tmp_path / "fit.json", content).with_suffix("")
    pq.write_table(pa.table({"mu": [1.0]}), tmp_path / "fit.parquet")
    write(tmp_path / ADAPTER_MANIFEST, content)
    write(tmp_path / "manifest.json", content)
    refused(lambda: read_record(RetentionRecord, tmp_path / "fit.json"), "fit.json")
    with pytest.raises(PlenaryError, match="cannot read a fit"):
        UtilityFit.load(stem)
    with pytest.raises(PlenaryError, match="manifest"):
        read_manifest(tmp_path)
    with pytest.raises(PlenaryError, match="manifest"):
        adapter_manifest(tmp_path)


def test_tables_of_plenary_with_other_columns(tmp_path: Path) -> None:
    odd = pa.array(["q"])
    for columns in (
        ("first", "second", "wins", "trials"), ("mu", "log_sigma"), ("shift", "p_value"),
        ("row_id", "panel_weight"), ("effective_n", "count_first"), ("first_text", "p_hard"),
        ("pair", "seat", "text", "state"), tuple(Votes.__slots__),
    ):  # fmt: skip
        pq.write_table(pa.table(dict.fromkeys(columns, odd)), tmp_path / "t.parquet")
        with contextlib.suppress(PlenaryError):
            describe(tmp_path / "t.parquet")


def test_answers_about_outcomes_that_are_not_there(tmp_path: Path) -> None:
    table = import_votes(write(tmp_path / "v.csv", GOOD_VOTES))
    few = table.origin.model_copy(update={"outcomes": table.origin.outcomes[:2]})
    replace(table, origin=few).write(tmp_path / "few.parquet")
    refused(lambda: import_votes(tmp_path / "few.parquet"), "few.parquet", "outcome 2 of 2")


def test_answers_of_other_types(tmp_path: Path) -> None:
    import_votes(write(tmp_path / "v.csv", GOOD_VOTES)).write(tmp_path / "own.parquet")
    whole = pq.read_table(tmp_path / "own.parquet")
    for odd in (pa.array(["q"] * len(whole)), pa.nulls(len(whole)), pa.array([[1]] * len(whole))):
        for name in ("first", "wins", "excluded", "template"):
            other = whole.set_column(whole.column_names.index(name), name, odd)
            pq.write_table(other, tmp_path / "odd.parquet")
            refused(lambda: import_votes(tmp_path / "odd.parquet"), "odd.parquet")


def test_a_damaged_folder_of_a_population(tmp_path: Path) -> None:
    mapping = read_mapping(write(tmp_path / "m.yaml", MAPPING))
    people = import_table(write(tmp_path / "p.csv", PEOPLE), mapping)
    folder = tmp_path / "kept"
    write_population(people, folder)
    rng = random.Random("population")
    for name in ("manifest.json", "labels.json", "population.parquet"):
        content = (folder / name).read_bytes()
        for _ in range(40):
            (folder / name).write_bytes(damaged(content, rng))
            with contextlib.suppress(PlenaryError):
                load_population(PopulationSettings(folder=folder))
        (folder / name).write_bytes(content)
    # A hash that fits makes other content no better.
    for column in ("age", "weight", "sex"):
        table = pq.read_table(folder / "population.parquet")
        at = table.column_names.index(column)
        other = table.set_column(at, column, pa.array(["x", "y"]))
        pq.write_table(other, folder / "population.parquet")
        digest = hashlib.sha256((folder / "population.parquet").read_bytes()).hexdigest()
        manifest = json.loads((folder / "manifest.json").read_bytes()) | {"sha256": digest}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        refused(lambda: load_population(PopulationSettings(folder=folder)), "population")
        write_population(people, folder)
