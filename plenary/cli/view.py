"""The command `plenary view` (a run in the browser): options and help texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import AsJson, Debug

app = typer.Typer()


@app.command(epilog="Example: plenary view runs/quickstart")
def view(
    path: Annotated[Path, typer.Argument(help="A run directory, finished or still under way.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 means any free one.")] = 8642,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open a browser at the viewer's address.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Explore a run in a browser, on this machine only; stop with Ctrl-C."""
    from plenary.viewer.web import serve

    def tell(address: str) -> None:
        print(json.dumps({"address": address}) if as_json else f"viewing {path} at {address}",
              flush=True)  # fmt: skip

    try:
        serve(path, port, tell, browser=browser)
    except KeyboardInterrupt:
        if not as_json:
            print("the viewer has stopped")
