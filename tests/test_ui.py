"""The address `mdlm ui` prints, opened in a browser."""

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


@pytest.fixture
def server(mdlm_start, finished, tmp_path):
    """A running `mdlm ui`: its process, port and the address it printed."""
    port = free_port()
    printed = tmp_path / "printed"
    with printed.open("w") as file:
        process = mdlm_start("ui", "--port", port, cwd=finished[0], stdout=file)
    deadline = time.monotonic() + 120
    while "Stop with" not in printed.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    address = re.search(r"http://\S+", printed.read_text())
    yield process, port, address[0] if address else ""
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=60)


def test_the_printed_address_shows_the_table_of_runs(server, tmp_path):
    _, _, address = server
    page = _Text()
    page.feed(browse(address, tmp_path / "profile", "--dump-dom"))
    assert NAME in page.found
    assert "Run Name" in page.found  # the table's heading
    picture = tmp_path / "runs.png"
    browse(address, tmp_path / "profile", f"--screenshot={picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    kept = os.environ.get("MDLM_SCREENSHOTS")
    if kept:
        shutil.copy(picture, kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_no_process_behind(number, server):
    process, port, address = server
    assert address.startswith(f"http://127.0.0.1:{port}/")
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
