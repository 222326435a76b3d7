"""The MLflow server as a process of ours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.request import urlopen


def serve(tracking_uri: str, host: str, port: int, pages: Mapping[str, str]) -> None:
    """Run the MLflow server; say where to look once it answers, and leave none of its processes behind.

    Args:
        tracking_uri: The store to show.
        host: Address to listen on.
        port: Port to listen on.
        pages: Addresses below the server's, each under what is seen there.

    Raises:
        ValueError: The port is taken, or the server ended with an error.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ValueError(f"{host}:{port} cannot be listened on ({error}); give another --port or --host") from None
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri, "--workers", "1"]
    command += ["--host", host, "--port", str(port), "--uvicorn-opts", "--log-level warning"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes nobody needs
    names = _names(host)
    if names:
        environment |= _called_by(names, port)
    environment |= os.environ
    # A group of its own: the server has workers, and they must end together with it.
    server = subprocess.Popen(command, start_new_session=True, env=environment)
    try:
        while server.poll() is None and not _answers(f"http://{host}:{port}/health"):
            time.sleep(0.2)
        if server.poll() is None:
            say(f"http://{names[0] if names else host}:{port}", pages)
            print("Stop with Ctrl-C.", flush=True)
        if server.wait():
            raise ValueError(f"the MLflow UI on {host}:{port} ended with an error (see above)")
    finally:
        _end_group(server)


def say(server: str, pages: Mapping[str, str]) -> None:
    """Print where on a server's pages to look."""
    for name, page in pages.items():
        print(f"{name}: {server}/{page}")


def _names(host: str) -> tuple[str, ...]:
    """How other machines may call this one, if the server listens to them at all."""
    if host == "localhost" or host.startswith("127."):
        return ()
    everywhere = host in ("0.0.0.0", "::")
    return tuple(dict.fromkeys((*(() if everywhere else (host,)), socket.gethostname(), socket.getfqdn())))


def _called_by(names: Sequence[str], port: int) -> dict[str, str]:
    """What lets MLflow answer under these names: by itself it answers 403 to all but localhost and private addresses.

    Of the private ones, a page shown in a browser is refused its own requests too, unless its address is an origin.
    """
    hosts = ("localhost", "127.0.0.1", "0.0.0.0", *names)
    private = ("10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32)))
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join((*hosts, *(f"{name}:{port}" for name in hosts), *private)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}:{port}" for name in (*names, *private)),
    }


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a process and all it started: politely, then for good."""
    for end, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, end)
        with suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
