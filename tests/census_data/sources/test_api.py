"""The Census Bureau's service and its faults, against a local stand-in."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest
from support import bureau as stand_in
from support.bureau import KEY, Bureau, Reply, bureau

from census_data.sources.api import CensusClient, TableSettings, geography
from census_data.sources.session import CensusError, CensusKeyError, Patience
from plenary.errors import ConfigError

CALIFORNIA = geography("state:06")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bureau]:
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    with bureau() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


def client(server: Bureau, waits: list[float], cache: Path | None = None, **patience):
    limits = Patience(base_url=server.address, **{"read": 0.5, "attempts": 3, **patience})
    return CensusClient(TableSettings(), limits, cache, waits.append)


def test_table_of_a_state(server, waits):
    table = client(server, waits).table("B21001", CALIFORNIA)
    assert table.variables == ("B21001_001E", "B21001_002E", "B21001_003E")
    assert table.labels[1] == "Estimate!!Total:!!Veteran"
    assert (table.title, table.places, table.place_codes) == (
        "Veteran Status", ("California",), ("06",),
    )  # fmt: skip
    np.testing.assert_array_equal(table.estimates, [[100, 8, 92]])
    # The package would ask for the type of each field; those questions stay here.
    assert len(server.seen) == 2
    assert not waits


def test_table_of_more_fields_than_one_question_takes(server, waits):
    names = [f"B99001_{k:03d}E" for k in range(1, 121)]
    facts = {n: {"label": n, "concept": "Many", "predicateType": "int"} for n in names}
    server.routes["/groups/"] = lambda query: Reply(200, json.dumps({"variables": facts}))

    def rows(query):
        fields = query["get"][0].split(",")
        assert len(fields) <= 50
        known = {"NAME": "X", "GEO_ID": "0400000US06"}
        return Reply(200, json.dumps([
            [*fields, "state"], [*(known.get(f) or str(int(f[7:10])) for f in fields), "06"],
        ]))  # fmt: skip

    server.routes["/acs5"] = rows
    table = client(server, waits).table("B99001", CALIFORNIA)
    np.testing.assert_array_equal(table.estimates, [range(1, 121)])


def test_states_and_counties(server, waits):
    table = client(server, waits).table("B21001", geography("state:*"))
    assert table.places == ("California", "Texas")
    client(server, waits).table("B21001", geography("county:06037"))
    assert "for=county%3A037&" in server.seen[-1]
    assert "in=state%3A06" in server.seen[-1]


def test_withheld_estimates_are_nan(server, waits):
    server.routes["/acs5"] = lambda query: (
        Reply(200, '[["NAME","B21001_001E","B21001_002E","B21001_003E","state"],'
                   '["Y","-666666666",null,"5","06"]]')
        if "get" in query else Reply(200, json.dumps({"variables": {
            name: {"label": label, "concept": "V", "predicateType": "int"}
            for name, label in stand_in.GROUP.items()}}))
    )  # fmt: skip
    table = client(server, waits).table("B21001", CALIFORNIA)
    assert np.isnan(table.estimates[0, :2]).all()
    assert table.estimates[0, 2] == 5


def test_answers_are_cached_without_the_key(server, waits, tmp_path):
    first = client(server, waits, tmp_path).table("B21001", CALIFORNIA)
    asked = len(server.seen)
    again = client(server, waits, tmp_path).table("B21001", CALIFORNIA)
    assert len(server.seen) == asked
    np.testing.assert_array_equal(first.estimates, again.estimates)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [p for p in kept if KEY in p.name or KEY.encode() in p.read_bytes()]
    for path in (tmp_path / "answers").iterdir():
        path.write_bytes(b"damaged")
    client(server, waits, tmp_path).table("B21001", CALIFORNIA)
    assert len(server.seen) == 2 * asked


@pytest.mark.parametrize("key", [None, "", "  "])
def test_no_key_in_the_environment(server, waits, monkeypatch, key):
    monkeypatch.delenv("CENSUS_API_KEY")
    if key is not None:
        monkeypatch.setenv("CENSUS_API_KEY", key)
    with pytest.raises(CensusKeyError, match=r"'CENSUS_API_KEY' is not set.*key_signup"):
        client(server, waits)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (stand_in.INVALID_KEY, "refused"),
        (stand_in.INVALID_PAGE, "refused"),
        (stand_in.MISSING_PAGE, "missing"),
        (Reply(302, "", {"Location": "/data/missing_key.html"}), "missing"),
        (Reply(400, "no", {"X-DataWebAPI-KeyError": "1"}), "refused"),
    ],
)
def test_bad_key_is_said_at_once(server, waits, reply, verdict):
    server.script = [reply]
    with pytest.raises(CensusKeyError, match=rf"is {verdict} by the Census Bureau; get one at"):
        client(server, waits).table("B21001", CALIFORNIA)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, "oops"),
        Reply(503, "<html>busy</html>", {"Content-Type": "text/html"}),
        stand_in.OVERLOADED,
        stand_in.HTML_PAGE,
        Reply(200, '[["NAME","B2100'),
        Reply(200, '[["NAME"]]' * 50, cut=90),
        Reply(200, "[]", wait=1.0),
        Reply(429, "slow down"),
    ],
    ids=["500", "503", "overload", "html", "truncated", "cut", "hang", "429"],
)
def test_passing_faults_are_tried_again_and_then_reported(server, waits, reply):
    server.script = [reply, reply]
    table = client(server, waits).table("B21001", CALIFORNIA)
    assert table.places == ("California",)
    assert waits == [1.0, 2.0]
    server.script = [reply] * 3
    with pytest.raises(CensusError, match=r"failed 3 times, .*try again later"):
        client(server, waits).table("B21001", CALIFORNIA)
    assert len(waits) == 4, "nothing but these waits is waited for"


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_heeded(server, waits, dated):
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=7), usegmt=True) if dated else "7"
    server.script = [Reply(429, "", {"Retry-After": value})]
    client(server, waits).table("B21001", CALIFORNIA)
    assert waits == [pytest.approx(7, abs=2)]


def test_long_retry_after_is_an_error(server, waits):
    server.script = [Reply(429, "", {"Retry-After": "86400"})]
    with pytest.raises(CensusError, match=r"wait 86400\.0 seconds"):
        client(server, waits).table("B21001", CALIFORNIA)
    assert not waits


def test_dripping_answer_is_given_up(server, waits):
    server.script = [Reply(200, "[]", wait=0.3)] * 2
    with pytest.raises(CensusError, match="no answer in time"):
        client(server, waits, whole=0.1, attempts=2).table("B21001", CALIFORNIA)


def test_nobody_listens(waits, monkeypatch):
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    with bureau() as gone:
        pass
    with pytest.raises(CensusError, match="no connection") as error:
        client(gone, waits).table("B21001", CALIFORNIA)
    assert KEY not in repr(error.value)
    assert error.value.__cause__ is None


def test_unknown_variable(server, waits):
    server.routes["/acs5"] = lambda query: (
        stand_in.UNKNOWN if "get" in query else Reply(200, json.dumps({"variables": {
            "B21001_009E": {"label": "x"}}}))
    )  # fmt: skip
    with pytest.raises(CensusError, match=r"unknown variable 'B21001_009E'"):
        client(server, waits).table("B21001", CALIFORNIA)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(404, "<html>no</html>"), r"does not exist; check year, survey and table"),
        (Reply(302, "", {"Location": "http://elsewhere/"}), r"check base_url"),
        (Reply(400, "error: unsupported geography"), r"status 400: 'error: unsupported geography'"),
        (Reply(204), r"table 'B21001' is not in acs5 2024"),
        (Reply(200, '{"variables": {}}'), r"table 'B21001' is not in acs5 2024"),
    ],
)
def test_lasting_faults(server, waits, reply, message):
    server.script = [reply]
    with pytest.raises(CensusError, match=message):
        client(server, waits).table("B21001", CALIFORNIA)
    assert len(server.seen) == 1


def test_nothing_for_a_place(server, waits):
    server.routes["/acs5"] = lambda query: (
        Reply(204) if "get" in query else Reply(200, json.dumps({"variables": {
            "B21001_001E": {"label": "x"}}}))
    )  # fmt: skip
    with pytest.raises(CensusError, match=r"has nothing for"):
        client(server, waits).table("B21001", CALIFORNIA)


def test_year_that_the_package_does_not_know(server, waits):
    with pytest.raises(ConfigError, match=r"'acs1' has no year 2020; use one of 2024, "):
        CensusClient(TableSettings(year=2020, survey="acs1"), Patience())


def test_the_echoed_key_is_taken_out(server, waits):
    server.script = [Reply(400, f"error: bad thing in key={KEY} and {KEY}")]
    with pytest.raises(CensusError) as error:
        client(server, waits).table("B21001", CALIFORNIA)
    assert KEY not in str(error.value)


def test_the_key_is_in_no_log(server, waits, caplog):
    with caplog.at_level(logging.DEBUG):
        client(server, waits).table("B21001", CALIFORNIA)
    assert "/data/2024/acs/acs5" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("text", ["state:6", "county:06", "tract:1", "", "us:1", "state:"])
def test_unknown_geographies(text):
    with pytest.raises(ConfigError, match=r"unknown geography .*use us, state:06"):
        geography(text)


def test_zip_areas_are_refused_because_their_state_is_dropped():
    with pytest.raises(ConfigError, match="drops the state of ZIP code areas"):
        geography("zip:94110")


@pytest.mark.parametrize("name", ["b21001", "B21001_001E", "../x", "S0101"])
def test_table_names(server, waits, name):
    with pytest.raises(ConfigError, match="detailed table"):
        client(server, waits).table(name, CALIFORNIA)


def test_bad_base_url(server, waits):
    with pytest.raises(ConfigError, match="base_url"):
        CensusClient(TableSettings(), Patience(base_url="nowhere")).table("B21001", CALIFORNIA)


def test_microdata(server, waits):
    server.routes["/pums"] = lambda query: Reply(
        200, json.dumps([[*query["get"][0].split(","), "state"], ["30", "80", "01", "01"]])
    )
    found = client(server, waits).microdata("01", ["AGEP", "PWGTP", "ST"])
    assert found == [{"AGEP": "30", "PWGTP": "80", "ST": "01", "state": "01"}]


@pytest.mark.parametrize("reply", [Reply(204), Reply(200, "[]"), Reply(200, "{}")])
def test_no_microdata(server, waits, reply):
    server.script = [reply]
    with pytest.raises(CensusError, match="no microdata for state '01'"):
        client(server, waits).microdata("01", ["AGEP"])
    with pytest.raises(ConfigError, match="FIPS code"):
        client(server, waits).microdata("CA", ["AGEP"])
