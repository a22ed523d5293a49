"""The report in a real browser: every figure drawn, nothing fetched, nothing run that a study brought."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas.analysis.catalogue import FIGURES
from betanas.analysis.report import build_report
from betanas.analysis.snapshot import StudySnapshot


def opened(browser, path: Path, width: int, scheme: str):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request",
        lambda r: page.problems.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.goto(path.as_uri())
    links = "document.querySelector('nav ul')"
    hidden = page.evaluate(f"{links}.scrollWidth - {links}.clientWidth")
    assert hidden <= 0 or width < 1000, "every section's link is in sight on a desk"
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    # Figures are drawn as they come into view: each is brought there.
    for place in range(page.locator(".plot").count()):
        plot = page.locator(".plot").nth(place)
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for(timeout=300_000)
    return page


@pytest.mark.parametrize(("width", "scheme"), [pytest.param(1200, "light", marks=pytest.mark.soak), (380, "dark")])
def test_every_figure_is_drawn_and_nothing_overflows(
    browser, tmp_path: Path, snapshot: StudySnapshot, width: int, scheme: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(build_report(snapshot).html, encoding="utf-8")
    page = opened(browser, path, width, scheme)
    assert page.locator(".plot").count() == sum(piece.section is not None for piece in FIGURES) - 1  # no scaling rules
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.querySelector('.plot .gtitle, .plot .xtitle')).fill")
    assert colour == {"light": "rgb(27, 31, 36)", "dark": "rgb(230, 233, 237)"}[scheme]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_a_strangers_study_runs_nothing(browser, tmp_path: Path, hostile_snapshot: StudySnapshot) -> None:
    path = tmp_path / "report.html"
    path.write_text(build_report(hostile_snapshot).html, encoding="utf-8")
    page = opened(browser, path, 1200, "light")
    assert page.problems == []
    assert page.evaluate("window.hacked") is None
    page.close()
