"""The address `mdlm ui` prints, opened in a browser."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mdlm.tracking import MLflow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for path in map(shutil.which, BROWSERS) if path), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser found (looked for {', '.join(BROWSERS)})"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts processes in /proc"),
]
NAME = "lstm-seed0-stride1-labels-coordinates-chain"


class _Text(HTMLParser):
    """The text of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_data(self, data):
        self.found.append(data)


def browse(url, profile, *options):
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=30000", "--window-size=1600,900", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes_on(port):
    """Every process with this port on its command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(port) in words:
            found.append(int(entry.name))
    return found


@contextlib.contextmanager
def serving(mdlm_start, folder, printed, *options):
    """A running `mdlm ui`: its process, port and the address it printed."""
    port = free_port()
    with printed.open("w") as file:
        process = mdlm_start("ui", "--port", port, *options, cwd=folder, stdout=file)
    deadline = time.monotonic() + 120
    while "Stop with" not in printed.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    address = re.search(r"http://\S+", printed.read_text())
    yield process, port, address[0] if address else ""
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=60)


@pytest.fixture
def server(mdlm_start, finished, tmp_path):
    """One to be stopped."""
    with serving(mdlm_start, finished[0], tmp_path / "printed") as running:
        yield running


@pytest.fixture(scope="module")
def address(mdlm_start, finished, tmp_path_factory):
    """What one that runs for all tests printed."""
    with serving(mdlm_start, finished[0], tmp_path_factory.mktemp("ui") / "printed") as (_, _, printed):
        yield printed


def shown(address, profile):
    """All texts of a page, in a window so high that none of its charts is below it."""
    page = _Text()
    page.feed(browse(address, profile, "--dump-dom", "--window-size=1600,2000"))
    return page.found


def test_the_printed_address_shows_the_table_of_runs(address, tmp_path):
    texts = shown(address, tmp_path / "profile")
    assert NAME in texts
    assert "Run Name" in texts  # the table's heading
    picture = tmp_path / "runs.png"
    browse(address, tmp_path / "profile", f"--screenshot={picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    kept = os.environ.get("MDLM_SCREENSHOTS")
    if kept:
        shutil.copy(picture, kept)


def test_a_study_is_shown_with_its_factors_and_charts(address, mlflow_store, mdlm, tmp_path):
    """Asked of the server that runs already, as if it were another machine's."""
    store = MLflow(None, mlflow_store, "studied")
    for study, model, error in (("tiny", "lstm", 0.5), ("tiny", "markov", 1.5), ("other", "gru", 1.0)):
        folder = tmp_path / model
        folder.mkdir()
        with store.run(folder, f"run of {model}", {}, {"study": study, "factor.model": model}) as tracker:
            tracker.metrics({"slow_timescale_log_error": error, "nll_nats_per_frame": error})
    words = ["ui", "--uri", address.partition("/#")[0], "--experiment", "studied"]
    names = re.findall(r"^(.*): http", mdlm(*words, cwd=tmp_path).out, re.MULTILINE)
    assert names == ["All runs", "Study other", "Study tiny"]
    printed = mdlm(*words, "study=tiny", cwd=tmp_path).out
    table, charts = re.findall(r"http://\S+", printed)
    rows = shown(table, tmp_path / "profile")
    assert {"factor.model", "slow_timescale_log_error", "run of lstm", "run of markov", "lstm", "markov"} <= set(rows)
    assert "run of gru" not in rows
    assert rows.index("run of lstm") < rows.index("run of markov")  # the best first
    drawn = shown(charts, tmp_path / "profile")
    assert "Parallel Coordinates" in drawn
    assert "factor.model" in drawn  # an axis
    assert "nll_nats_per_frame vs. slow_timescale_log_error" in " ".join(drawn)  # the title of a scatter plot


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_process_behind(number, server):
    process, port, printed = server
    assert printed.startswith(f"http://127.0.0.1:{port}/")
    assert len(processes_on(port)) > 1
    process.send_signal(number)
    process.wait(30)
    assert process.returncode == 128 + number
    assert processes_on(port) == []


def test_a_port_in_use_is_named(mdlm, finished):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = mdlm("ui", "--port", port, cwd=finished[0])
    assert ended.code != 0
    assert f"127.0.0.1:{port} cannot be listened on" in ended.error


def status(port, method, called, origin=None):
    """What the server on this machine answers to a request under some name, as from a page of some origin."""
    headers = {"Host": f"{called}:{port}", "Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
    body = '{"experiment_ids": []}' if method == "POST" else None
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, "/api/2.0/mlflow/runs/search" if body else "/", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_other_machines_may_call_a_server_that_listens_to_them_by_its_name_only(mdlm_start, finished, tmp_path):
    name = socket.gethostname()
    with serving(mdlm_start, finished[0], tmp_path / "printed", "--host", "0.0.0.0") as (_, port, address):
        assert address.startswith(f"http://{name}:{port}/")
        for called in (name, "localhost", "10.1.2.3"):
            assert status(port, "GET", called) == 200
            assert status(port, "POST", called, f"http://{called}:{port}") == 200
        assert status(port, "GET", "elsewhere.example") == 403
        assert status(port, "POST", name, "http://elsewhere.example") == 403
