"""The dashboard in a real browser, over a real store that a writer adds to. Pictures go to `screenshots/`."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from betanas.analysis.snapshot import StudySnapshot
from betanas.search.records import TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import StudyLock
from betanas.search.store.store import Store
from betanas.training.result import CurvePoint, TrialResult

pytest.importorskip("dash")
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
TOKEN = "a secret of some length"


@contextmanager
def served(*studies: Path, **options) -> Iterator[str]:
    """The address of a dashboard that runs in a thread."""
    from betanas.analysis.dashboard.server import dashboard_server

    with dashboard_server([str(study) for study in studies], port=0, refresh=0.5, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def opened(browser) -> Iterator[Callable]:
    """Opens a page that notes everything a browser complains about, and every foreign address."""
    pages = []

    def opened(address: str, width: int = 1280, scheme: str = "light", context: dict | None = None):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", **(context or {})
        )
        page.problems = []
        page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request",
            lambda r: page.problems.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None,
        )
        page.set_default_timeout(300_000)
        page.goto(address)
        if page.locator("#token").count() == 0:
            wait_for_figures(page)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()


FIGURES = ("history", "time", "pareto", "parallel")


def wait_for_figures(page) -> None:
    for name in FIGURES:
        page.locator(f"#{name}-graph .main-svg").first.wait_for()
        page.locator(f"#{name}-caption:not(:empty)").wait_for()


def picture(page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"dashboard-{name}.png", full_page=True)


def no_serious_findings(page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page)
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@dataclass
class Searched:
    """A copy of a study on which a search works, as far as its store and its lock can tell."""

    directory: Path
    store: Store
    template: TrialRecord
    session: int

    def begin(self, index: int, **changes) -> None:
        blueprint = self.store.blueprint(self.template.index)
        record = replace(
            self.template,
            index=index,
            state="running",
            session=self.session,
            objective=None,
            top1=None,
            top5=None,
            started=datetime.now(UTC),
            ended=None,
            curve=(),
            **changes,
        )
        self.store.add_trial(record, blueprint)
        for step in range(1, 4):
            self.store.add_point(index, 1, CurvePoint(2.0 * step, 40 * step, 0.6 * step, 2.0, 0.1 * step))

    def end(self, index: int, accuracy: float) -> None:
        curve = tuple(CurvePoint(2.0 * step, 40 * step, 0.6 * step, 2.0, accuracy * step / 9) for step in range(1, 10))
        result = TrialResult("completed", top1=accuracy, top5=1.0, curve=curve, training_seconds=20.0)
        assert self.store.end_trial(index, 1, result, objective=accuracy)


@pytest.fixture
def searched(stored_study: Path, tmp_path: Path) -> Iterator[Searched]:
    directory = tmp_path / "digits"
    shutil.copytree(stored_study, directory)
    store = Store.open(StudyLocation.parse(directory))
    (directory / "logs").mkdir(exist_ok=True)
    with StudyLock(directory):
        session = store.begin_session(host="here", pid=1, command="betanas resume", versions={}, hardware={})
        template = next(trial for trial in store.trials() if trial.state == "completed" and trial.repeat_of is None)
        yield Searched(directory, store, template, session)
    store.close()


def test_a_trial_arrives_and_the_search_is_steered(searched: Searched, opened) -> None:
    searched.begin(40)
    (searched.directory / "logs" / "trial-00040.log").write_text("epoch 1\n<b>loss 2.0</b>\n", encoding="utf-8")
    with served(searched.directory) as address:
        page = opened(address)
        assert page.locator(".card").inner_text().count("running")
        assert page.locator("#running-list button").all_inner_texts() == ["Trial 40"]
        # The trial ends, and with it comes the next.
        searched.end(40, 0.97)
        searched.begin(41)
        page.locator("#leaders button", has_text="Trial 40").wait_for()
        page.locator("#running-list button", has_text="Trial 41").wait_for()
        assert "97.00" in page.locator(".card").inner_text()
        # Its architecture, curve, cost and log, with the keyboard.
        page.locator("#leaders button", has_text="Trial 40").focus()
        page.keyboard.press("Enter")
        panel = page.locator("#chosen article")
        panel.locator(".main-svg").first.wait_for()
        assert "<b>loss 2.0</b>" in panel.inner_text()
        assert "97.00%" in panel.inner_text()
        assert page.locator("#first-trial").input_value() == "40"
        assert page.evaluate("document.activeElement.id") == "chosen-heading"
        # Pause, go on, stop, and another number of trials.
        page.locator("#pause").click()
        page.locator("#search-answer", has_text="Asked").wait_for()
        assert searched.store.request() == "pause"
        page.locator("#go-on:enabled").click()
        page.locator("#search-answer", has_text="goes on").wait_for()
        assert searched.store.request() == "run"
        page.locator("#planned").fill("75")
        page.locator("#set-planned").click()
        page.locator("#search-answer", has_text="75 trials").wait_for()
        assert searched.store.plan().search.trials == 75
        page.on("dialog", lambda dialog: dialog.accept())
        page.locator("#stop").click()
        page.locator("#search-answer", has_text="ends now").wait_for()
        assert searched.store.request() == "stop"
        picture(page, "running")
        assert page.problems == []


def test_brushing_filters_every_view(stored_study: Path, opened) -> None:
    with served(stored_study) as address:
        page = opened(address)
        assert "All 40 trials" in page.locator("#brush-words").inner_text()
        points = "[...document.querySelectorAll('#history-graph .js-plotly-plot')].flatMap(p => p.data)"
        shown = f"{points}.filter(t => t.mode === 'markers').flatMap(t => [...t.x]).length"
        assert page.evaluate(shown) == 40
        # Drag along the first axis, over its lower half.
        page.locator("#parallel-graph").scroll_into_view_if_needed()
        axis = page.locator("#parallel-graph .axis-brush").first.bounding_box()
        x = axis["x"] + axis["width"] / 2
        page.mouse.move(x, axis["y"] + axis["height"] * 0.55)
        page.mouse.down()
        page.mouse.move(x, axis["y"] + axis["height"] * 0.75, steps=4)
        page.mouse.move(x, axis["y"] + axis["height"] * 0.95, steps=4)
        page.mouse.up()
        page.locator("#brush-words", has_text="are shown: those with").wait_for()
        dragged = int(page.locator("#brush-words").inner_text().split()[0])
        assert 0 < dragged < 40
        page.wait_for_function(f"{shown} === {dragged}")
        picture(page, "brushed")
        # The same by typing; a mistake is explained.
        page.locator("#clear-filters").click()
        page.locator("#brush-words", has_text="All 40 trials").wait_for()
        page.locator("#filter").fill("nothing=0:1")
        page.locator("#filter").press("Enter")
        page.locator("#filter-problem", has_text="names a parameter").wait_for()
        page.locator("#filter").fill("objective=0:50")
        page.locator("#filter").press("Enter")
        page.locator("#brush-words", has_text="objective=0:50").wait_for()
        typed = int(page.locator("#brush-words").inner_text().split()[0])
        page.wait_for_function(f"{shown} === {typed}")
        assert page.problems == []


def test_two_trials_of_two_studies_are_compared(stored_study: Path, tmp_path: Path, opened) -> None:
    other = tmp_path / "other"
    shutil.copytree(stored_study, other)
    with served(stored_study, other) as address:
        page = opened(address)
        page.locator("#overlaid-history-graph .main-svg").first.wait_for()
        page.locator("#overlaid-costs-graph .main-svg").first.wait_for()
        # A click on a point of the history shows that trial.
        page.locator("#history-graph").scroll_into_view_if_needed()
        page.locator("#history-graph .scatterlayer .point").first.click(force=True)
        page.locator("#chosen article").wait_for()
        page.locator("#click-target").get_by_text("the second trial").click()
        page.locator("#focus").get_by_text("other").click()
        page.locator("#leaders button").first.wait_for()
        page.wait_for_function("document.querySelector('#leaders button').id.includes('\"study\":1')")
        page.locator("#leaders button").first.click()
        page.wait_for_function("document.querySelectorAll('#chosen article').length === 2")
        headings = page.locator("#chosen article h3").all_inner_texts()
        assert headings[0].startswith("digits, trial")
        assert headings[1].startswith("other, trial")
        page.wait_for_function("document.querySelectorAll('#chosen .main-svg').length >= 3")
        no_serious_findings(page)
        picture(page, "compared")
        page.locator("#clear-second").click()
        page.wait_for_function("document.querySelectorAll('#chosen article').length === 1")
        page.locator("#first-trial").fill("4000")
        page.locator("#first-trial").press("Enter")
        page.locator("#chosen .problem", has_text="must have that trial").wait_for()
        assert page.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (1280, "light")])
def test_phone_and_desk_dark_and_light(stored_study: Path, opened, width: int, scheme: str) -> None:
    with served(stored_study) as address:
        page = opened(address, width, scheme)
        page.locator("#first-trial").fill("3")
        page.locator("#first-trial").press("Enter")
        page.locator("#chosen article .main-svg").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        text = {"light": "rgb(27, 31, 36)", "dark": "rgb(230, 233, 237)"}
        fill = "getComputedStyle(document.querySelector('#history-graph .xtitle')).fill"
        assert page.evaluate(fill) == text[scheme]
        no_serious_findings(page)
        picture(page, f"{width}-{scheme}")
        # The switch stands above the system's wish, and the figures follow it.
        switched = "light" if scheme == "dark" else "dark"
        page.locator("#theme-choice").get_by_text(switched.capitalize()).click()
        page.wait_for_function(f"{fill} === '{text[switched]}'")
        no_serious_findings(page)
        assert page.problems == []


def test_an_empty_study_says_so(empty_snapshot: StudySnapshot, tmp_path: Path, opened) -> None:
    (tmp_path / "empty").mkdir()
    Store.create(StudyLocation.parse(tmp_path / "empty"), empty_snapshot.plan).close()
    with served(tmp_path / "empty") as address:
        page = opened(address)
        assert "There is no trial to show" in page.locator("#history-caption").inner_text()
        no_serious_findings(page)
        assert page.problems == []


def test_a_strangers_study_runs_nothing(hostile_snapshot: StudySnapshot, tmp_path: Path, opened) -> None:
    study = tmp_path / "<img src=x onerror=hacked=1>"
    (study / "logs").mkdir(parents=True)
    store = Store.create(StudyLocation.parse(study), hostile_snapshot.plan)
    for trial in hostile_snapshot.trials:
        store.add_trial(trial, next(iter(hostile_snapshot.blueprints.values())))
    store.close()
    (study / "logs" / "trial-00013.log").write_text("<script>window.hacked=1</script>", encoding="utf-8")
    with served(study) as address:
        page = opened(address)
        page.locator("#first-trial").fill("13")
        page.locator("#first-trial").press("Enter")
        page.locator("#chosen article .main-svg").first.wait_for()
        page.locator("#history-graph .scatterlayer .point").first.hover(force=True)
        assert page.evaluate("window.hacked") is None
        assert page.locator("#react-entry-point img, #react-entry-point script").count() == 0
        assert page.problems == []


def test_the_token_opens_the_page(stored_study: Path, opened) -> None:
    with served(stored_study, token=TOKEN) as address:
        page = opened(address)
        page.locator("#token").fill("something else entirely")
        page.locator("button").click()
        page.get_by_role("alert").get_by_text("not the token").wait_for()
        page.locator("#token").fill(TOKEN)
        page.locator("button").click()
        wait_for_figures(page)
        assert [words for words in page.problems if "401" not in words] == []
