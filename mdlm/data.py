"""Published data: found in one directory, or fetched into it the first time they are asked for."""

from __future__ import annotations

import os
from pathlib import Path


def data_directory() -> Path:
    """Where published data lie: ``MDLM_DATA_DIR``, or the user's cache directory."""
    from platformdirs import user_cache_path

    given = os.environ.get("MDLM_DATA_DIR")
    return Path(given).expanduser() if given else user_cache_path("mdlm") / "data"


def published(file_name: str, url: str, known_hash: str | None) -> Path:
    """The file of this name in the data directory, fetched from ``url`` first where it is not there.

    A file that is already there is used as it is, so that a machine without a network only needs it copied there.

    Args:
        file_name: In the data directory.
        url: Where it is published.
        known_hash: ``"sha256:..."`` or ``"md5:..."`` of the published file, checked after fetching; None where none
            is published.

    Raises:
        ValueError: It is not there and cannot be fetched; says which file to put where.
    """
    path = data_directory() / file_name
    if path.exists():
        return path
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, known_hash, fname=file_name, path=path.parent, progressbar=False)
    except Exception as error:  # pooch hands on whatever its downloaders raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{file_name} is not in {path.parent} and cannot be fetched ({reason[:150]}); get it from {url} and put it "
            "there, or set MDLM_DATA_DIR to where it is"
        ) from error
    return path
