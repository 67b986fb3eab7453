"""The viewer and the report in a real Chromium: what a reader sees, and what must not happen."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
from support.checkpoints import CheckpointName

from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.progress import PROGRESS, ProgressRecord
from plenary.runs.records.base import read_record, write_record

pytest.importorskip("starlette", reason="the extra 'view' is not installed")
pytest.importorskip("duckdb", reason="the extra 'view' is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
WAIT = 20_000
PAGES = (
    "/", "/panel", "/citizens", "/citizens/3", "/pairs", "/pairs/5?by=age", "/pairs/5/tables/1",
    "/utilities", "/cost", "/pairs/999",
)  # fmt: skip
WIDTHS = {"desktop": 1180, "phone": 360}
AXE = "axe.run({resultTypes: ['violations']})"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def viewing(run: Path) -> Iterator[str]:
    """The address of `plenary view`, stopped as a person stops it."""
    words = [sys.executable, "-m", "plenary", "view", str(run), "--port", "0", "--json"]
    viewer = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert viewer.stdout is not None
    yield json.loads(viewer.stdout.readline())["address"].rstrip("/")
    viewer.send_signal(signal.SIGINT)
    assert viewer.communicate(timeout=30) == ("", "")
    assert viewer.returncode == 0


@pytest.fixture(scope="module")
def address(tiny: Path) -> Iterator[str]:
    with viewing(tiny) as there:
        yield there


class Watched:
    """A page, all that it asked for, and all that went wrong on it."""

    def __init__(self, browser: Browser, width: int, scheme: str = "light") -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda said: self.wrong.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def serious(self) -> list[str]:
        """Findings of axe-core that keep people out."""
        source = (resources.files("axe_core_python") / "axe.min.js").read_text("utf-8")
        self.page.evaluate(source)
        return [
            f"{found['id']}: {node['target']} {node['failureSummary']}"
            for found in self.page.evaluate(AXE)["violations"]
            if found["impact"] in ("serious", "critical")
            for node in found["nodes"]
        ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_are_accessible_and_keep_to_themselves(
    browser: Browser, address: str, width: str, scheme: str
) -> None:
    seen = Watched(browser, WIDTHS[width], scheme)
    for path in PAGES:
        seen.page.goto(address + path)
        assert not seen.serious(), path
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert seen.page.evaluate(overflow) <= 0, path
    assert [url for url in seen.asked if not url.startswith((address, "data:"))] == []
    assert [line for line in seen.wrong if "404" not in line] == []
    seen.page.close()


def test_a_list_is_narrowed_by_keyboard(browser: Browser, address: str) -> None:
    seen = Watched(browser, 1180)
    page = seen.page
    page.goto(f"{address}/pairs")
    expect(page.get_by_role("row")).to_have_count(39)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("trees")
    page.get_by_label("Split").select_option("held out")
    page.get_by_label("Order").select_option("moved most")
    page.get_by_label("Order").press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Search")).to_have_value("trees")
    for row in page.get_by_role("row").all()[1:]:
        expect(row).to_contain_text("trees")
        expect(row).to_contain_text("held out")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("trees")
    page.get_by_role("link", name="Table 2").click()
    expect(page.get_by_role("heading", name="Who moved afterwards")).to_be_visible()
    assert not seen.wrong
    page.close()


def test_numbers_follow_a_run_under_way(browser: Browser, under_way: Path) -> None:
    ended = read_record(ProgressRecord, under_way / PROGRESS)
    write_record(ended.model_copy(update={"state": "running"}), under_way / PROGRESS)
    seen = Watched(browser, 1180)
    with viewing(under_way) as address:
        seen.page.goto(address)
        ballots = seen.page.locator("[data-fill=votes]")
        expect(ballots).to_have_text("1,624")
        with sqlite3.connect(under_way / filenames.LEDGER) as ledger:
            ledger.execute("INSERT INTO votes VALUES (20, 0, 1, 0, 0.5, 0, 1.0, x'00')")
        expect(ballots).to_have_text("1,625", timeout=WAIT)
        write_record(ended, under_way / PROGRESS)
        expect(seen.page.get_by_role("status")).to_contain_text("is over", timeout=WAIT)
        assert not seen.wrong
        seen.page.close()


def test_hostile_text_is_read_and_not_run(browser: Browser, under_way: Path) -> None:
    seen = Watched(browser, 1180)
    with viewing(under_way) as address:
        seen.page.goto(f"{address}/pairs/5/tables/1")
        expect(
            seen.page.get_by_text("<script>document.title='owned'</script>").first
        ).to_be_visible()
        assert seen.page.title() != "owned"
        assert not seen.wrong
        seen.page.close()


def test_axe_finds_what_is_planted(browser: Browser, address: str) -> None:
    seen = Watched(browser, 1180)
    seen.page.goto(address)
    seen.page.evaluate("document.documentElement.removeAttribute('lang')")
    assert any(line.startswith("html-has-lang") for line in seen.serious())
    seen.page.close()


@pytest.fixture(scope="module")
def report(
    tiny: Path,
    checkpoint: Callable[[CheckpointName], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of the same run with a model of random weights that was really trained."""
    folder = tmp_path_factory.mktemp("report")
    base = load_config(tiny / "config.yaml").model_dump(mode="json")
    model = {"name": "whole", "model": f"local:{checkpoint('qwen2')}"}
    (folder / "whole.yaml").write_text(json.dumps({**base, **model}))
    changes = (
        "alignment.epochs=1",
        "alignment.batch=16",
        "alignment.replay_rows=1",
        "measures.wording_pairs=6",
        "elicitation.samples=1",
        "elicitation.reason_tokens=8",
    )
    settings = [word for change in changes for word in ("--set", change)]
    subprocess.run(
        [sys.executable, "-m", "plenary", "run", "whole.yaml", "--out", ".", *settings],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "whole" / filenames.REPORT


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_is_accessible(browser: Browser, report: Path, width: str, scheme: str) -> None:
    seen = Watched(browser, WIDTHS[width], scheme)
    seen.page.goto(report.as_uri())
    assert not seen.serious()
    assert len(seen.asked) == 1
    assert not seen.wrong
    seen.page.close()
