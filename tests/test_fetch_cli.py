"""`mdlm fetch`: what it lists, and what it fetches."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mdlm import data

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MDLM_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def online(monkeypatch):
    """Both files published on this machine, one with a checksum; the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for source in (data.ALANINE_DIPEPTIDE, data.PIN1):
        checksum = None if source.known_hash is None else "md5:" + hashlib.md5(CONTENT).hexdigest()
        here = f"http://127.0.0.1:{server.server_port}/{source.name}"
        monkeypatch.setitem(data.SOURCES, source.name, replace(source, url=here, known_hash=checksum))
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offline(monkeypatch):
    """Nobody answers."""
    for source in (data.ALANINE_DIPEPTIDE, data.PIN1):
        monkeypatch.setitem(data.SOURCES, source.name, replace(source, url="http://127.0.0.1:9/file"))


def test_without_a_name_all_is_listed_and_nothing_fetched(mdlm, offline, tmp_path):
    ended = mdlm("fetch", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("not there") == 2
    assert "1PIN" in ended.out
    assert ended.out.splitlines()[-1] == f"in {tmp_path}/data; `mdlm fetch NAME` fetches"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1PIN.pdb").write_text("END\n")
    ended = mdlm("fetch", cwd=tmp_path)
    assert ended.out.count("not there") == 1
    assert "4 B" in ended.out


def test_a_name_is_fetched_once(mdlm, online, tmp_path):
    ended = mdlm("fetch", "1PIN", "1PIN", cwd=tmp_path)
    path = tmp_path / "data" / "1PIN.pdb"
    assert (ended.code, ended.out) == (0, f"1PIN fetched: {path}, 256 kB\n")
    assert path.read_bytes() == CONTENT
    assert mdlm("fetch", "1PIN", cwd=tmp_path).out == f"1PIN is already there: {path}\n"
    assert online == ["/1PIN"]


def test_everything_is_fetched_to_where_a_run_looks_for_it(mdlm, online, tmp_path):
    assert mdlm("fetch", "--all", cwd=tmp_path).code == 0
    assert sorted(online) == ["/1PIN", "/alanine_dipeptide_mdshare"]
    for source in data.SOURCES.values():
        assert data.published(source.file_name, "http://127.0.0.1:9/", source.known_hash).read_bytes() == CONTENT


def test_the_bytes_that_have_come_are_reported(online, tmp_path):
    seen = []
    source = data.SOURCES["1PIN"]
    data.published(source.file_name, source.url, None, lambda done, total, note="": seen.append((done, total)))
    done, total = zip(*seen, strict=True)
    assert set(total) == {len(CONTENT)}
    assert list(done) == sorted(done)
    assert done[0] < len(CONTENT) == done[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1PINN"], "1PINN is nothing that can be fetched; did you mean 1PIN?"),
        (["x"], "x is nothing that can be fetched; there are alanine_dipeptide_mdshare, 1PIN"),
        (["--all", "1PIN"], "--all fetches everything; leave the names out with it; see `mdlm fetch --help`"),
        (["--force"], "unrecognized arguments: --force; see `mdlm fetch --help`"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, message, mdlm, tmp_path):
    ended = mdlm("fetch", *words, cwd=tmp_path)
    assert (ended.code, ended.error) == (1, message)
    assert list(tmp_path.iterdir()) == []


def test_offline_one_line_says_which_file_to_put_where(mdlm, offline, tmp_path):
    ended = mdlm("fetch", "alanine_dipeptide_mdshare", cwd=tmp_path)
    name = data.ALANINE_DIPEPTIDE.file_name
    assert ended.code == 1
    assert ended.error.startswith(f"{name} is not in {tmp_path}/data and cannot be fetched (")
    assert ended.error.endswith("put it there, or set MDLM_DATA_DIR to where it is")
    assert not (tmp_path / "data" / name).exists()


def test_a_directory_that_cannot_be_made_is_one_line(mdlm, online, tmp_path):
    (tmp_path / "data").write_text("a file")
    ended = mdlm("fetch", "1PIN", cwd=tmp_path)
    assert ended.code == 1
    assert f"{tmp_path}/data" in ended.error


def test_help_says_where_the_directory_is(mdlm, tmp_path):
    ended = mdlm("fetch", "--help", cwd=tmp_path)
    assert ended.code == 0
    assert "MDLM_DATA_DIR" in ended.out
    assert "fetch  " in mdlm("--help", cwd=tmp_path).out
