"""The report: one page, read by people, opened in a real browser."""

import base64
import html
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mdlm.report.captions import CAPTIONS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for path in map(shutil.which, BROWSERS) if path), None)


class Page(HTMLParser):
    """Text of a page, and everything in it that a browser would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.words, self.addresses, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(finished):
    return Page((finished[0] / "run" / "report.html").read_text())


def test_the_verdict_comes_first_then_the_table_then_the_figures(page, finished):
    summary = (finished[0] / "run" / "summary.txt").read_text()
    verdict = re.search(r"Verdict: (.*?)\n(?:  t2|Note|\n)", summary, re.DOTALL)[1].replace("\n", " ")
    places = [page.text.index(part) for part in (verdict, "Slow kinetics", "Figure 1", "How to reproduce it")]
    assert places == sorted(places)


def test_every_cell_of_the_printed_table_is_in_the_page(page, finished):
    for line in (finished[0] / "run" / "summary.txt").read_text().splitlines():
        if line.startswith("│"):
            for cell in line.strip("│").split("│"):
                assert cell.strip() in page.text


def test_the_command_the_seed_and_every_choice_are_in_the_page(page, finished, tiny):
    for word in tiny:
        assert word in page.text
    assert "mdlm train system=chain" in page.text
    for line in (finished[0] / "run" / "config.yaml").read_text().splitlines():
        assert line.strip() in page.text
    assert "git_commit" in page.text or "mdlm" in page.text


def test_nothing_is_fetched_and_nothing_runs(page):
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags) - {"link"}
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)


def test_every_figure_has_a_caption_and_is_a_whole_picture(page, finished):
    pictures = [address for address in page.addresses if address.startswith("data:image/")]
    drawn = {path.stem for path in (finished[0] / "run" / "figures").glob("*.png")}
    assert drawn <= CAPTIONS.keys()
    assert len(pictures) == len(drawn) >= 8
    for picture in pictures:
        content = base64.b64decode(picture.partition("base64,")[2])
        assert content.startswith(b"\x89PNG") or content.rstrip().endswith(b"</svg>")
    for name in drawn:
        assert CAPTIONS[name][0] in page.text


def test_what_a_user_writes_cannot_become_markup(mdlm, tmp_path):
    import numpy as np

    np.save(tmp_path / "a.npy", np.arange(400) // 3 % 2)
    unit = "<script>alert(1)</script>"
    words = ["reference=a.npy", "sampled=a.npy", "frame_time=1", f"time_unit={unit}", "lag_time=1", "out=out"]
    assert mdlm("evaluate", *words, cwd=tmp_path).code == 0
    written = Page((tmp_path / "out" / "report.html").read_text())
    assert "script" not in written.tags
    assert unit in written.text


def test_mdlm_report_prints_where_it_is_and_opens_it(mdlm, finished, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    ended = mdlm("report", "run=run", cwd=finished[0])
    assert ended.out.strip() == "run/report.html"
    assert opened == [(finished[0] / "run" / "report.html").resolve().as_uri()]
    mdlm("report", "run=run", "--no-browser", cwd=finished[0])
    assert len(opened) == 1


def test_a_missing_report_is_made_again_and_nothing_else_changes(mdlm, tracked):
    run = tracked / "run"
    before = Page((run / "report.html").read_text())
    (run / "report.html").unlink()
    files = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    ended = mdlm("report", "run=run", "--no-browser", cwd=tracked)
    assert ended.code == 0, ended.err
    after = Page((run / "report.html").read_text())
    assert after.addresses == before.addresses
    assert {path: path.stat().st_mtime_ns for path in files} == files
    tables = [page.text[page.text.index("Slow kinetics") : page.text.index("Value [lower")] for page in (before, after)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run is missing; give the folder of a finished run: run=DIR"),
        (["run=nowhere"], "run (nowhere) must be the folder of a finished run; it has no config.yaml"),
        (["folder=x"], "folder=x is no field of mdlm report"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, message, mdlm, tmp_path):
    ended = mdlm("report", *words, "--no-browser", cwd=tmp_path)
    assert ended.code == 1
    assert message in ended.error


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason=f"no browser found (looked for {', '.join(BROWSERS)})")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_it_without_an_error_or_a_request(width, finished, tmp_path):
    address = (finished[0] / "run" / "report.html").resolve().as_uri()
    picture, log = tmp_path / "report.png", tmp_path / "net.json"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},3000", f"--log-net-log={log}", f"--screenshot={picture}", address]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert "CONSOLE" not in ended.stderr
    # Headless Chromium asks for its own updates; a page's request names the page or its frame as initiator.
    requested = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text()))
    assert not {html.unescape(url) for url in requested if "google" not in url}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000  # not an empty page
    kept = os.environ.get("MDLM_SCREENSHOTS")
    if kept:
        shutil.copy(picture, Path(kept).with_stem(f"report-{width}"))
