import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from mdlm.study.analysis import analyse
from mdlm.study.figures import draw_study
from mdlm.study.grid_figures import pareto_front
from mdlm.study.report import headline, write_report

SMALL = {"recrossing": ("keep", "coring"), "stride": (1, 10), "model": ("lstm", "transformer")}
FIGURES = ("cost", "effects", "grid", "interactions", "seeds")


class Links(HTMLParser):
    """Everything a page asks its browser to fetch."""

    def __init__(self):
        super().__init__()
        self.fetched = []
        self.ids = []

    def handle_starttag(self, tag, attrs):
        self.fetched += [
            value
            for name, value in attrs
            if name in ("src", "href", "xlink:href", "data") and not value.startswith(("#", "data:"))
        ]
        self.fetched += [tag] * (tag in ("script", "link", "iframe", "object"))
        self.ids += [value for name, value in attrs if name == "id"]


@pytest.fixture(scope="module")
def study(factorial, with_errors):
    rows = factorial(SMALL)
    noise = np.random.default_rng(0).normal(0, 0.1, len(rows))
    table = with_errors(rows, 1 + 0.7 * (rows["recrossing"] == "keep") + noise)
    table.rows.loc[3, ["status", "reason"]] = "undecided", "3 events <in> the data"
    table.rows.loc[5, ["status", "reason"]] = "failed", "it died"
    return table


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    """The folder of a report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(analyse(study), analyse(study, "ratio"), folder, "demo")
    return folder


def test_the_page_holds_everything_and_fetches_nothing(written):
    text = (written / "report.html").read_text()
    links = Links()
    links.feed(text)
    assert links.fetched == []
    assert "url(http" not in text
    assert "@import" not in text
    assert len(set(links.ids)) == len(links.ids)
    assert text.count("<svg") == 5
    assert "3 events &lt;in&gt; the data" in text
    assert "it died" in text
    assert "recrossing keep → coring: error / " in text
    for claim, outcome in (("C1", "undecided"), ("C2", "undecided"), ("C3", "undecided"), ("C4", "supported")):
        assert re.search(rf">{outcome}</td>\s*<td>{claim}: ", text)


def test_figures_and_numbers_are_files(written):
    found = sorted(path.name for path in (written / "figures").iterdir())
    assert found == [f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    assert not list(written.rglob(".*"))
    numbers = json.loads((written / "effects.json").read_text())
    (contrast,) = [c for c in numbers["contrasts"] if c["factor"] == "recrossing"]
    assert contrast["estimate"]["value"] == pytest.approx(-0.7, abs=0.1)
    assert "NaN" not in (written / "effects.json").read_text()


def test_the_same_analysis_draws_the_same_figures(study, written, tmp_path):
    drawn = draw_study(analyse(study), tmp_path)
    assert sorted(drawn) == list(FIGURES)
    for name, path in drawn.items():
        assert path.read_text() == (written / "figures" / f"{name}.svg").read_text()


def test_the_headline_says_what_matters_and_what_is_undecided(study):
    first, second = headline(analyse(study))[:2]
    assert re.match(r"recrossing keep → coring: error / [\d.]+ \[[\d.]+, [\d.]+\] \(p < 0.0001, Holm\)", first)
    assert second.startswith("undecided, no effect seen beyond the scatter of the runs: stride, model")


def test_a_study_without_a_decided_run_still_has_its_page(study, tmp_path):
    open_study = replace(study, rows=study.rows.assign(status="undecided"))
    page, *_ = write_report(analyse(open_study), None, tmp_path, "demo")
    assert "undecided" in page.read_text()
    assert not list((tmp_path).rglob("*.png"))


@pytest.mark.parametrize("levels", [{"model": ("lstm", "gru")}, {"model": ("lstm",)}])
def test_one_factor_or_none_is_drawn(factorial, with_errors, tmp_path, levels):
    rows = factorial(levels, n_seeds=6)
    page, *_ = write_report(analyse(with_errors(rows, 1 + 0.01 * (np.arange(len(rows)) % 5))), None, tmp_path, "demo")
    assert page.read_text().count("<svg") == (4 if len(levels["model"]) > 1 else 3)


def test_the_front_holds_what_nothing_beats_in_both():
    """Against the definition, cell by cell."""
    rng = np.random.default_rng(0)
    costs, errors = rng.random(60), rng.random(60)
    expected = {i for i in range(60) if not ((costs < costs[i]) & (errors < errors[i])).any()}
    assert set(pareto_front(costs, errors)) == expected
