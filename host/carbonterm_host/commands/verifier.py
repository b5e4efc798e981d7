"""`carbonterm verifier`: one offline HTML file that verifies bundles in a browser."""

from pathlib import Path

import typer

from carbonterm_host import browser
from carbonterm_host.screen import JSON, USAGE, Failure, put, say


def main(
    output: Path = typer.Option(..., "-o", "--output", help="FILE.html"),
    cache: Path = typer.Option(Path("build/wasm"), help="where MicroPython's npm package is kept · 缓存目录"),
    json: bool = JSON,
):
    """Write a single HTML file that verifies bundles and proofs in a browser, without a network · 离线核验网页."""
    text = browser.page(browser.package(cache))
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(USAGE, f"{output} cannot be written: {error.strerror}", "choose another file with -o") from None
    if json:
        put({"file": str(output), "bytes": len(text.encode()), "micropython": browser.VERSION})
    else:
        print(say(f"{len(text.encode()) // 1024} KB, opens in any browser → {output}",
                  f"{len(text.encode()) // 1024} KB，可用任何浏览器打开 → {output}"))  # fmt: skip
