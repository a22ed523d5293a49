from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from betanas.analysis.snapshot import StudySnapshot
from betanas.notebook import blueprint_html, drawing_svg, study_html, trial_html
from betanas.spaces import get_space, published


class Parsed(HTMLParser):
    VOID = ("br", "img", "rect")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_blueprint_shows_costs_drawing_and_layers() -> None:
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=224, num_classes=100)
    parsed = Parsed(blueprint_html(blueprint))
    assert parsed.tags.count("rect") == len(blueprint.layers) + 1
    assert "5.11M" in parsed.text
    assert parsed.tags.count("tr") == len(blueprint.table()) + 1
    assert "15 layers from 224 to 7 pixels" in drawing_svg(blueprint)


def test_a_study_and_its_trials_show_themselves(snapshot: StudySnapshot) -> None:
    study = Parsed(study_html(snapshot))
    assert "62.56%" in study.text
    assert "svg" in study.tags
    for trial in snapshot.trials[:40]:
        parsed = Parsed(trial_html(trial))
        assert f"Trial {trial.index}" in parsed.text
        assert ("svg" in parsed.tags) == bool(trial.curve)


def test_a_study_that_has_only_begun_shows_itself(empty_snapshot: StudySnapshot) -> None:
    assert "there is no winner yet" in Parsed(study_html(empty_snapshot)).text


def test_a_strangers_words_stay_words(hostile_snapshot: StudySnapshot) -> None:
    for html in (study_html(hostile_snapshot), trial_html(hostile_snapshot.trials[0])):
        parsed = Parsed(html)
        assert not {"script", "img"} & set(parsed.tags)
        assert "window.hacked" in parsed.text


def test_a_flat_curve_is_drawn(snapshot: StudySnapshot) -> None:
    flat = tuple(replace(point, accuracy=0.1) for point in snapshot.best.curve)
    assert "nan" not in trial_html(replace(snapshot.best, curve=flat))
