"""Photograph the viewer and the report of a run: python docs/pictures/make.py runs/quickstart.

Needs `pip install 'plenary[view]' playwright pillow` and Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from starlette.applications import Starlette

from plenary.viewer.web import application

CHROMIUM = "/usr/bin/chromium"
PAGES = {
    "overview": "/",
    "panel": "/panel",
    "citizens": "/citizens?sort=moved",
    "citizen": "/citizens/3",
    "pairs": "/pairs?sort=moved",
    "pair": "/pairs/2?by=age",
    "table": "/pairs/2/tables/1",
    "utilities": "/utilities",
    "cost": "/cost",
    "report": "/report",
}
SIZES = {"desktop": (1180, 900), "phone": (390, 844)}


def serve(app: Starlette) -> tuple[uvicorn.Server, str]:
    """The viewer of a run on a free port, in a thread."""
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return server, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def photograph(browser: Browser, address: str, size: str, folder: Path) -> None:
    """Every page at one width, at most two screens of it."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    for name, path in PAGES.items():
        page.goto(address + path)
        tall = min(page.evaluate("document.documentElement.scrollHeight"), 2 * height)
        taken = page.screenshot(
            full_page=True, clip={"x": 0, "y": 0, "width": width, "height": tall}
        )
        picture = Image.open(io.BytesIO(taken))
        picture.save(folder / f"{name}-{size}.webp", quality=60, method=6)
    page.close()


def main() -> None:
    """Photograph the run named on the command line into the folder beside this file or another."""
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    app = application(Path(sys.argv[1]))
    server, address = serve(app)
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size in SIZES:
            photograph(browser, address, size, folder)
        browser.close()
    server.should_exit = True
    app.state.viewed.close()


if __name__ == "__main__":
    main()
