"""Published data: found in one directory, or fetched into it the first time they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mdlm.errors import MissingData
from mdlm.progress import Progress, silent


@dataclass(frozen=True)
class Source:
    """A published file.

    Attributes:
        name: By which `mdlm fetch` knows it.
        summary: What it is, in one line.
        file_name: In the data directory.
        url: Where it is published.
        known_hash: ``"sha256:..."`` or ``"md5:..."`` of the published file; None where none is published.
    """

    name: str
    summary: str
    file_name: str
    url: str
    known_hash: str | None


ALANINE_DIPEPTIDE = Source(
    name="alanine_dipeptide_mdshare",
    summary="phi and psi of alanine dipeptide, 3 x 250 ns in explicit water, 6 MB",
    file_name="alanine-dipeptide-3x250ns-backbone-dihedrals.npz",
    url="https://ftp.imp.fu-berlin.de/pub/cmb-data/alanine-dipeptide-3x250ns-backbone-dihedrals.npz",
    known_hash="md5:3fa7c72ba512213a3860f9691602cdc7",  # as the catalogue of the mdshare package lists it
)
PIN1 = Source(
    name="1PIN",
    summary="structure of Pin1, whose WW domain is the native state of system=ww_domain, 0.2 MB",
    file_name="1PIN.pdb",
    url="https://files.rcsb.org/download/1PIN.pdb",
    known_hash=None,  # the PDB revises its entries
)
SOURCES = {source.name: source for source in (ALANINE_DIPEPTIDE, PIN1)}
"""All that `mdlm fetch` can fetch."""


def data_directory() -> Path:
    """Where published data lie: ``MDLM_DATA_DIR``, or the user's cache directory."""
    from platformdirs import user_cache_path

    given = os.environ.get("MDLM_DATA_DIR")
    return Path(given).expanduser() if given else user_cache_path("mdlm") / "data"


def published(file_name: str, url: str, known_hash: str | None, progress: Progress = silent) -> Path:
    """The file of this name in the data directory, fetched from ``url`` first where it is not there.

    A file that is already there is used as it is, so that a machine without a network only needs it copied there.

    Args:
        file_name: In the data directory.
        url: Where it is published.
        known_hash: ``"sha256:..."`` or ``"md5:..."`` of the published file, checked after fetching; None where none
            is published.
        progress: Told of the bytes that have come.

    Raises:
        MissingData: It is not there and cannot be fetched; says which file to put where.
    """
    path = data_directory() / file_name
    if path.exists():
        return path
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        download = pooch.HTTPDownloader(progressbar=_Received(progress))
        pooch.retrieve(url, known_hash, fname=file_name, path=path.parent, downloader=download)
    except Exception as error:  # pooch hands on whatever its downloaders raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingData(
            f"{file_name} is not in {path.parent} and cannot be fetched ({reason[:150]}); get it from {url} and put it "
            "there, or set MDLM_DATA_DIR to where it is"
        ) from error
    return path


class _Received:
    """A progress bar as pooch wants it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.total = 0  # set by pooch; 0 where the server does not say
        self.received = 0

    def update(self, n_bytes: int) -> None:
        """So many bytes more; pooch counts whole chunks, so the last may be too many."""
        self.received += n_bytes
        if self.total:
            self.progress(min(self.received, self.total), self.total, f"{self.total / 1e6:.1f} MB")

    def reset(self) -> None:
        """Pooch is about to report the whole file at once."""
        self.received = 0

    def close(self) -> None:
        """There is nothing to close."""
