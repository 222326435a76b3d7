"""`mdlm cache`: what the cache of finished stages holds, and what of it may go."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mdlm.cache import STAGES, Entry, Pruned, entries, prune
from mdlm.cli_parser import Parser

ACTIONS = ("list", "prune")
WIDTH = 110
SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DESCRIPTION = f"""\
List or delete the finished stages that `mdlm train` keeps.

A run keeps the result of each stage ({", ".join(STAGES)}) in one file,
named by the hash of all that decided it: settings, code and every stage before. The next run with the same settings
up to there reads it. Nothing is lost for good by deleting: what is missing is computed again.
"""
EXAMPLES = """\
prune deletes damaged files and what killed runs left behind, whatever else is asked for; never a result that a run
is just computing, and no file that is not of the cache.

examples:
  mdlm cache                                     what is there, and how much of the disk it takes
  mdlm cache prune --older-than 30d --dry-run    what no run has used for 30 days
  mdlm cache prune --older-than 30d              delete it
  mdlm cache prune --stage features              delete all described trajectories, often the largest
  mdlm cache prune --all                         delete everything
"""


def run(words: Sequence[str]) -> None:
    """List or delete cached results."""
    options = _parsed(words)
    from mdlm.cli import fail

    directory = Path(options.directory)
    if directory.exists() and not directory.is_dir():
        fail(f"--directory ({directory}) must be a directory")
    if options.action == "list":
        _list(directory)
    else:
        _show_pruned(prune(directory, _unwanted(options), options.dry_run), directory, options)


def _parsed(words: Sequence[str]) -> argparse.Namespace:

    parser = Parser(
        prog="mdlm cache",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = os.environ.get("MDLM_CACHE_DIR", "outputs/cache")
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="what to do (%(default)s)")
    parser.add_argument("--directory", default=default, help="cache_dir of the runs (%(default)s)")
    chosen = parser.add_argument_group("what to prune")
    chosen.add_argument("--older-than", type=_age, metavar="AGE", help="not used for AGE, such as 30d, 12h, 90m or 2w")
    chosen.add_argument("--stage", choices=STAGES, help="only this stage; with --older-than, both must hold")
    chosen.add_argument("--all", action="store_true", help="everything")
    chosen.add_argument("--dry-run", action="store_true", help="delete nothing, only say what would go")
    options = parser.parse_args(list(words))
    narrowed = options.older_than is not None or options.stage is not None
    if options.action == "list" and (narrowed or options.all or options.dry_run):
        parser.error("--older-than, --stage, --all and --dry-run belong to `mdlm cache prune`")
    if options.all and narrowed:
        parser.error("--all deletes everything; leave it out with --older-than or --stage")
    return options


def _age(text: str) -> float:
    """Seconds.

    Example:
        >>> _age("30d") == 30 * 24 * 3600
        True
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"({text}) must be a number of minutes, hours, days or weeks, such as 30d")
    return float(found[1]) * SECONDS[found[2]]


def _unwanted(options: argparse.Namespace) -> Callable[[Entry], bool]:
    now = time.time()

    def unwanted(entry: Entry) -> bool:
        if entry.is_damaged or options.all:
            return True
        if options.older_than is None and options.stage is None:
            return False
        is_old = options.older_than is None or now - entry.last_used > options.older_than
        return is_old and options.stage in (None, entry.stage)

    return unwanted


def _list(directory: Path) -> None:
    found = entries(directory)
    if not found:
        print(f"{directory} holds nothing yet; `mdlm train` fills it")
        return
    _print_table(found)
    print(f"{_counted(found)} in {directory}")


def _show_pruned(pruned: Pruned, directory: Path, options: argparse.Namespace) -> None:
    if pruned.gone:
        _print_table(pruned.gone)
    would = "would delete" if options.dry_run else "deleted"
    print(f"{would} {_counted(pruned.gone)} in {directory}")
    if pruned.leftovers:
        print(f"{would} {len(pruned.leftovers)} temporary and lock files")
    if pruned.in_use:
        print(f"left {_counted(pruned.in_use)} that a running process holds")
    if not (options.all or options.stage or options.older_than):
        print("Healthy results stay; choose some with --older-than, --stage or --all.")


def _print_table(found: Sequence[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    table = Table("stage", "part")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    table.add_column("digest", no_wrap=True)
    for entry in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
        digest = entry.digest + " (damaged)" * entry.is_damaged
        table.add_row(entry.stage, entry.part, size(entry.size), used, digest)
    console.print(table)


def _counted(found: Sequence[Entry]) -> str:
    return f"{len(found)} result{'s' * (len(found) != 1)}, {size(sum(entry.size for entry in found))},"


def size(n_bytes: float) -> str:
    """A size for people.

    Example:
        >>> size(12), size(3_400), size(2.5e9)
        ('12 B', '3.4 kB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
