"""The documentation site as people read it: built as `make docs` builds it, in a real browser on a phone's width."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHONE = 390

# The pictures that did not arrive.
_LOST = "[...document.querySelectorAll('article img')].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"

pytestmark = pytest.mark.nightly


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads what a test's server was asked for."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The built site's address on this machine, and its folder."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        check=True,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()


def test_every_page_fits_a_phone_and_shows_its_pictures(site: tuple[str, Path]) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    api = pytest.importorskip("playwright.sync_api")
    address, folder = site
    pages = sorted(file.parent.relative_to(folder).as_posix() for file in folder.rglob("index.html"))
    assert len(pages) > 25
    trouble: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": PHONE, "height": 844}, device_scale_factor=2)
        page.on("pageerror", lambda error: trouble.append(f"{page.url}: {error}"))
        page.on(
            "request", lambda asked: None if asked.url.startswith((address, "data:")) else trouble.append(asked.url)
        )
        for name in pages:
            page.goto(f"{address}/{name}/")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > PHONE:
                trouble.append(f"{name} is {wide} pixels wide")
            lost = page.evaluate(_LOST)
            trouble += [f"{name} lacks {each}" for each in lost]
        browser.close()
    assert trouble == []
