"""`mdlm report`: open the report of a finished run in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdlm.cli_parser import Parser, own_modules

USAGE = """\
Open the report of a run or of an evaluation: verdict, table, figures, configuration, how to reproduce it; one file.

Usage: mdlm report run=DIR [--no-browser] [cache_dir=DIR] [--config-dir DIR]

  run=DIR          folder of a finished run, or one that `mdlm evaluate` wrote
  --no-browser     only print where the report is
  cache_dir=DIR    where the run kept its finished stages, should its report be missing and made anew
  --config-dir DIR that of the run, where it had options of your own

Example:
  mdlm report run=outputs/2025-01-31/12-00-00
"""
FIELDS = ("run", "cache_dir")


def run(words: Sequence[str]) -> None:
    """Print where the report is, made first where it is missing, and open it.

    Raises:
        ValueError: A field is wrong, or the folder is of no finished run.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    parser = Parser(prog="mdlm report", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--config-dir", type=Path)
    options = parser.parse_intermixed_args(list(words))
    fields = {}
    for word in options.words:
        name, _, value = word.partition("=")
        if name not in FIELDS or not value:
            raise ValueError(f"{word} is no field of mdlm report; write run=DIR, or see `mdlm report --help`")
        fields[name] = Path(value)
    if "run" not in fields:
        raise ValueError("run is missing; give the folder of a finished run: run=DIR")
    page = fields["run"] / "report.html"
    if not page.is_file():
        _make(fields["run"], fields.get("cache_dir"), options.config_dir)
    print(page)
    if not options.no_browser:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _make(directory: Path, cache_dir: Path | None, config_dir: Path | None) -> None:
    """Judge a finished run again and write its report, and nothing else, into its folder."""
    from dataclasses import replace

    from mdlm.cli_evaluate import of_run
    from mdlm.report.page import write_page
    from mdlm.report.run_folder import trained_by

    trusted = {"mdlm", *own_modules(config_dir)}
    outcome = of_run(directory, "", {}, trusted, directory, cache_dir)
    write_page(replace(outcome, command=trained_by(directory)))
