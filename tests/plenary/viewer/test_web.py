from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'view' is not installed")
pytest.importorskip("duckdb", reason="the extra 'view' is not installed")

from starlette.testclient import TestClient

from plenary.errors import ConfigError, DataError
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.viewer.web import application

PAGES = (
    "/", "/panel", "/citizens", "/citizens/3", "/pairs", "/pairs/5?by=age", "/pairs/5/tables/1",
    "/utilities", "/cost",
)  # fmt: skip
HONEST = "Simulated citizens are not people."


class Outline(HTMLParser):
    """Tags, and attributes that could load or run something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.figures = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.figures += ("role", "img") in attrs
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]


@contextmanager
def asking(run: Path) -> Iterator[TestClient]:
    app = application(run)
    try:
        yield TestClient(app, base_url="http://127.0.0.1:8642")
    finally:
        app.state.viewed.close()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_what_it_is_and_loads_only_its_own(tiny: Path, path: str) -> None:
    with asking(tiny) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    outline = Outline(answer.text)
    assert HONEST in answer.text
    assert '<html lang="en">' in answer.text
    assert outline.tags.count("h1") == 1
    assert outline.tags.count("script") == 1
    assert not outline.inline
    assert all(where[0] in "/#" or where == "data:," for where in outline.loads)
    assert outline.figures == outline.tags.count("svg") == outline.tags.count("desc")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"


def test_only_this_machines_names_are_answered(tiny: Path) -> None:
    with asking(tiny) as client:
        for name in ("localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:9", "[::1]"):
            assert client.get("/", headers={"host": name}).status_code == 200, name
        for name in ("evil.example", "evil.example:8642", "127.0.0.1.evil.example", "", "[::1"):
            answer = client.get("/", headers={"host": name})
            assert answer.status_code == 421, name
            assert "tiny" not in answer.text


@pytest.mark.parametrize("verb", ["post", "put", "delete", "patch"])
def test_nothing_can_be_done(tiny: Path, verb: str) -> None:
    with asking(tiny) as client:
        assert [getattr(client, verb)(p).status_code for p in (*PAGES, "/live.json")] == [405] * 10


@pytest.mark.parametrize(
    "path",
    [
        "/static/../web.py", "/static/%2e%2e/web.py", "/static/viewer.css/..%2f..%2fclean.py",
        "/manifest.json", "/ledger.sqlite", "/pairs/38", "/pairs/-1", "/pairs/5/tables/3",
        "/citizens/14", "/citizens/x", "/pairs/99999999999999999999",
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused(tiny: Path, path: str) -> None:
    with asking(tiny) as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_lists_bear_any_question(tiny: Path) -> None:
    hostile = "'\"><script>\u202e%00;--"
    with asking(tiny) as client:
        for path in ("/pairs", "/citizens", "/utilities"):
            for query in ({"search": hostile, "sort": hostile, "side": hostile, "page": hostile},
                          {"page": "0"}, {"page": "999999999"}, {"page": "²"}):  # fmt: skip
                answer = client.get(path, params=query)
                assert answer.status_code == 200
                assert answer.text.count("<script") == 1
                assert "\u202e" not in answer.text


def test_filters_are_kept_in_the_form_and_the_way_on(tiny: Path) -> None:
    with asking(tiny) as client:
        html = client.get("/pairs?search=trees&side=held_out&sort=moved").text
    assert 'value="trees"' in html
    assert '<option value="held_out" selected>' in html
    assert '<option value="moved" selected>' in html


def test_hostile_statements_are_shown_as_text(under_way: Path) -> None:
    with asking(under_way) as client:
        html = client.get("/pairs/5/tables/1").text
    assert "&lt;script&gt;document.title" in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert "\x07" not in html


def test_a_run_under_way_is_shown_as_far_as_it_is(under_way: Path) -> None:
    with asking(under_way) as client:
        for path in PAGES:
            assert client.get(path).status_code == 200, path
        assert "not been compared yet" in client.get("/utilities").text
        assert "none yet" in client.get("/pairs/25").text
        now = client.get("/live.json").json()
        assert now["share"] == pytest.approx((14 * 38 + 14 * 20) / (2 * 14 * 38))
        with sqlite3.connect(under_way / filenames.LEDGER) as ledger:
            ledger.execute("INSERT INTO votes VALUES (20, 0, 1, 0, 0.5, 0, 1.0, x'00')")
        later = client.get("/live.json").json()
        assert later["share"] > now["share"]
        with sqlite3.connect(under_way / filenames.LEDGER) as ledger:
            ledger.execute("DELETE FROM votes WHERE phase = 1 AND pair >= 20")


def test_a_run_that_stopped_before_its_assembly_is_shown(tmp_path: Path) -> None:
    config = load_config(None, ("model=planted:x", "citizens_model=planted:x", "panel.citizens=20"))
    with pytest.raises(ConfigError, match="cannot read planted world"):
        run_stages(config, tmp_path, "error", ASSEMBLY_STAGES, NullWatcher())
    with asking(tmp_path / "run") as client:
        for path in PAGES:
            assert client.get(path).status_code == 200, path
        assert "not seated yet" in client.get("/pairs").text
        now = client.get("/live.json").json()
    assert now["over"]
    assert now["said"]["stage"] == "stopped after elicit before (4 of 8)"


def test_looking_leaves_nothing_behind(tiny: Path) -> None:
    def content() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()}

    before = content()
    with asking(tiny) as client:
        for path in (*PAGES, "/live.json"):
            client.get(path)
    assert content() == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run directory"):
        application(tmp_path)


def test_report_is_served_in_a_sandbox(tiny: Path, under_way: Path) -> None:
    with asking(under_way) as client:
        assert client.get("/report").status_code == 404
        (under_way / filenames.REPORT).write_text("<!doctype html><script>1</script>")
        answer = client.get("/report")
        (under_way / filenames.REPORT).unlink()
        (under_way / filenames.REPORT).symlink_to(under_way.parent / "elsewhere.html")
        (under_way.parent / "elsewhere.html").write_text("not of this run")
        assert client.get("/report").status_code == 404
        (under_way / filenames.REPORT).unlink()
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]


def test_a_missing_extra_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "plenary.viewer.web", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'plenary\[view\]'"):
        __import__("plenary.viewer.web")
