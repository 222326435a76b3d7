"""`mdlm fetch`: published data, fetched to where runs look for them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mdlm.build import suggestion
from mdlm.cli_cache import WIDTH, size
from mdlm.cli_parser import Parser
from mdlm.data import SOURCES, Source, data_directory, published
from mdlm.progress import bar

DESCRIPTION = """\
Fetch published data to where runs look for them.

A run fetches what it needs when it first needs it. Where it has no network, such as on the compute nodes of a
cluster, fetch beforehand, on a machine that shares the directory. Without a name, all there is is listed.

The directory is MDLM_DATA_DIR, or the user's cache directory where that is not set. A file that is already there
is used as it is; delete it to fetch it again.
"""
EXAMPLES = """\
examples:
  mdlm fetch                                what there is, and where it lies or would lie
  mdlm fetch alanine_dipeptide_mdshare      for system=alanine_dipeptide_mdshare
  MDLM_DATA_DIR=/data/mdlm mdlm fetch --all everything, to a directory of choice
"""


def run(words: Sequence[str]) -> None:
    """List or fetch published data.

    Raises:
        ValueError: A file is not there and cannot be fetched.
    """
    chosen = _chosen(words)
    if not chosen:
        _list()
    for source in chosen:
        path = data_directory() / source.file_name
        if path.exists():
            print(f"{source.name} is already there: {path}")
            continue
        with bar(f"fetching {source.name}") as progress:
            published(source.file_name, source.url, source.known_hash, progress)
        print(f"{source.name} fetched: {path}, {size(path.stat().st_size)}")


def _chosen(words: Sequence[str]) -> list[Source]:
    from mdlm.cli import fail

    parser = Parser(
        prog="mdlm fetch",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SOURCES))
    parser.add_argument("--all", action="store_true", help="everything")
    options = parser.parse_args(list(words))
    for name in options.names:
        if name not in SOURCES:
            fail(f"{name} is nothing that can be fetched{suggestion(name, list(SOURCES))}")
    if options.all and options.names:
        parser.error("--all fetches everything; leave the names out with it")
    return [SOURCES[name] for name in (SOURCES if options.all else dict.fromkeys(options.names))]


def _list() -> None:
    """What there is, and whether it is there."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    table = Table("name", "what", "file")
    table.add_column("size", justify="right", no_wrap=True)
    for source in SOURCES.values():
        path = data_directory() / source.file_name
        there = size(path.stat().st_size) if path.exists() else "not there"
        table.add_row(source.name, source.summary, source.file_name, there)
    console.print(table)
    print(f"in {data_directory()}; `mdlm fetch NAME` fetches")
