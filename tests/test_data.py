import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mdlm import data


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MDLM_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def online():
    """A published file on this machine, and its checksum."""
    content = b"1 2 3\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/set.txt", "sha256:" + hashlib.sha256(content).hexdigest()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_published_file_is_fetched_once_and_checked(online, tmp_path):
    url, checksum = online
    path = data.published("set.txt", url, checksum)
    assert path == tmp_path / "data" / "set.txt"
    assert path.read_text() == "1 2 3\n"
    assert data.published("set.txt", "http://127.0.0.1:9/", checksum) == path


def test_a_wrong_checksum_leaves_nothing(online, tmp_path):
    with pytest.raises(ValueError, match=r"^set.txt is not in .* cannot be fetched \(.*hash"):
        data.published("set.txt", online[0], "sha256:" + "0" * 64)
    assert not (tmp_path / "data" / "set.txt").exists()


def test_a_file_that_is_there_is_used_as_it_is(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set.npz").write_text("mine")
    assert data.published("set.npz", "https://nowhere.invalid/set.npz", "sha256:0").read_text() == "mine"


def test_without_a_network_the_error_says_which_file_to_put_where(tmp_path):
    with pytest.raises(
        ValueError, match=rf"^set.npz is not in {tmp_path}/data and cannot be fetched \(.*\); get it from"
    ):
        data.published("set.npz", "http://127.0.0.1:9/set.npz", None)
    assert not (tmp_path / "data" / "set.npz").exists()


def test_the_directory_can_be_chosen_and_has_a_default(tmp_path, monkeypatch):
    assert data.data_directory() == tmp_path / "data"
    monkeypatch.delenv("MDLM_DATA_DIR")
    assert data.data_directory().parts[-2:] == ("mdlm", "data")
