from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'view' is not installed")
pytest.importorskip("duckdb", reason="the extra 'view' is not installed")

from starlette.testclient import TestClient

from assembly.deliberation.group_statement import CRITICISM, DRAFT, REVISED, TABLE
from assembly.record.ballots import FAILED, INVALID, VALID
from assembly.record.ledger import Argument, Gist, GroupText, Ledger
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.filenames import CONFIG
from plenary.viewer.web import application

EVIL = "</p><script>document.title='owned'</script>\u202egnp.exe\x07 <img src=x onerror=alert(1)>"


def quotes(run: Path, path: str) -> list[str]:
    """The statements that a page shows, as text."""
    app = application(run)
    html = TestClient(app, base_url="http://127.0.0.1:8642").get(path).text
    app.state.viewed.close()
    assert html.count("<script") == 1
    assert "<img" not in html
    assert "\u202e" not in html
    return [re.sub(r"<[^>]+>", " ", said) for said in re.findall("(?s)<blockquote.*?</bl", html)]


def briefed(run: Path, how: str | None) -> Path:
    config = load_config(run / CONFIG).model_dump(mode="json")
    config["assembly"]["briefing"] = how
    (run / CONFIG).write_text(json.dumps(config))
    return run


def test_arguments_stand_on_a_pair_in_the_order_they_were_read(under_way: Path) -> None:
    run = briefed(under_way, "generated")
    rows = [Argument(5, 1, VALID, "roads carry all"), Argument(5, 0, VALID, EVIL)]
    rows += [Argument(6, 0, VALID, "trees give shade"), Argument(6, 1, INVALID, "a bold claim")]
    with Ledger(run / filenames.LEDGER) as ledger:
        ledger.add_arguments(rows)
    first, second = quotes(run, "/pairs/5")
    assert "&lt;script&gt;document.title" in first
    assert "roads carry all" in second
    assert "rejected" in quotes(run, "/pairs/6")[1]
    assert quotes(run, "/pairs/7") == []


def test_what_the_ledger_does_not_hold_is_said(under_way: Path, tmp_path: Path) -> None:
    def html(run: Path) -> str:
        app = application(run)
        answer = TestClient(app, base_url="http://127.0.0.1:8642").get("/pairs/6").text
        app.state.viewed.close()
        return answer

    (tmp_path / "given.yaml").write_text("pairs: []")
    assert "Arguments of the briefing" not in html(under_way)
    assert "None is recorded" in html(briefed(under_way, "generated"))
    assert "given.yaml, not kept" in html(briefed(under_way, str(tmp_path / "given.yaml")))
    with Ledger(under_way / filenames.LEDGER) as ledger:
        ledger.add_arguments([Argument(6, 0, VALID, "one"), Argument(6, 1, INVALID, "two")])
    assert "Nobody read them" in html(briefed(under_way, "generated"))


def test_a_table_shows_its_summaries_and_its_groups_statement(under_way: Path) -> None:
    texts = [
        GroupText(5, 1, TABLE, 1, None, VALID, "the table liked trees"),
        GroupText(5, 1, DRAFT, 0, None, VALID, EVIL),
        GroupText(5, 1, CRITICISM, 1, 3, VALID, "it says nothing of roads"),
        GroupText(5, 1, REVISED, 0, None, FAILED, ""),
        GroupText(5, 2, DRAFT, 0, None, VALID, "another group"),
    ]
    gists = [Gist(5, 0, "extract", "0.1.0 0.1.1", VALID, "shade; clean air")]
    gists.append(Gist(5, 0, "model", "0.2.0", VALID, "another table"))
    with Ledger(under_way / filenames.LEDGER) as ledger:
        ledger.add_group_texts(texts)
        ledger.add_gists(gists)
    said = quotes(under_way, "/pairs/5/tables/1")
    summary, table, draft, criticism, revised = said[-5:]
    assert "shade; clean air" in summary
    assert "Summary of 2 statements" in summary
    assert "what weighed with table 2" in table
    assert "&lt;script&gt;document.title" in draft
    assert "it says nothing of roads" in criticism
    assert "(no usable text)" in revised
    assert not any("another" in one for one in said)
