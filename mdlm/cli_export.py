"""`mdlm export`: a sampled chain of states as a movie of training frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mdlm.cli_parser import Parser, own_modules

USAGE = """\
Write a sampled chain as a movie: for each of its states a real frame of that state from the training trajectories.

Usage: mdlm export run=DIR [FIELD=VALUE ...] [--config-dir DIR]

Fields:
  run=DIR          folder of a finished run
  chain=0          sampled chain, from 0
  frames=A:B       its frames A to B-1, one per stride of the run; the first 500 unless given
  event=N          instead of chain and frames: the N-th crossing, from 0 and through all chains, between the two sides
                   of the slowest process, as the verdict counts them
  margin=10        frames of the chain to show before and after the event
  draw=nearest     nearest: the frame of the state that is nearest to the one drawn before and was not shown yet, in
                   minimal RMSD of a molecule, else in the features that the partition sees
                   random: any frame of the state
  seed=0           of what is drawn at random; of nearest only the first frame is
  sampled=FILE     chains that mdlm sample wrote, instead of the run's own
  output=FILE      a molecule: .xtc, .trr or .dcd, each with a .pdb of the first frame beside it, or .pdb; frames are
                   superposed onto the first. Other systems: .csv, .npy or .npz, and a .png beside it or alone, of the
                   path over the free energy, where there are two columns. In the run's folder unless given
  cache_dir=DIR    where the run kept its finished stages, where that is not to be found from here

A token of a run with a recrossing treatment stands for a treated state: its frames are those that training has in that
state after the treatment, so in a movie of nearest frames the state may differ from the one the partition alone would
name. Stages that are no longer in the cache are computed again.

--config-dir DIR is that of the run, where it had options of your own.

Examples:
  mdlm export run=outputs/2025-01-31/12-00-00 frames=0:200
  mdlm export run=outputs/2025-01-31/12-00-00 event=0 margin=50 output=rare.pdb
"""


def run(words: Sequence[str]) -> None:
    """Write a movie and print its files.

    Raises:
        ValueError: A field is wrong, or the run has nothing to show.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    fields, trusted = fields_of("export", FIELDS, words)
    directory, cache_dir, sampled = (fields.pop(name, None) for name in ("run", "cache_dir", "sampled"))
    from mdlm.export.finished import FinishedRun
    from mdlm.export.movie import Movie

    movie = Movie(**fields)
    for file in movie.write(directory, FinishedRun.read(directory, cache_dir, trusted, sampled)):
        print(file)


def _span(text: str) -> tuple[int, int]:
    """First frame and the one after the last.

    Example:
        >>> _span("0:500")
        (0, 500)
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise ValueError
    return int(found[1]), int(found[2])


Fields = Mapping[str, tuple[Callable[[str], object], str]]
"""How each field is read, and what it must be."""

A_NUMBER = (int, "a whole number")
FIELDS: Fields = {
    "run": (Path, "the folder of a finished run"),
    "chain": A_NUMBER,
    "frames": (_span, "the first frame and the one after the last, such as 0:500"),
    "event": A_NUMBER,
    "margin": A_NUMBER,
    "draw": (str, "nearest or random"),
    "seed": A_NUMBER,
    "sampled": (Path, "a file of mdlm sample"),
    "output": (Path, "a file"),
    "cache_dir": (Path, "a directory"),
}


def fields_of(command: str, known: Fields, words: Sequence[str]) -> tuple[dict[str, Any], set[str]]:
    """Fields by name, and the modules that the run's configuration may name.

    Raises:
        ValueError: A field is unknown or cannot be read, or there is no ``run``.
    """
    from mdlm.build import suggestion

    parser = Parser(prog=f"mdlm {command}", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--config-dir", type=Path)
    options = parser.parse_intermixed_args(list(words))
    fields = {}
    for word in options.words:
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"{name} is no field of mdlm {command}{suggestion(name, list(known))}")
        read, allowed = known[name]
        try:
            fields[name] = read(value)
        except ValueError:
            raise ValueError(f"{name} ({value}) must be {allowed}") from None
        if not value:
            raise ValueError(f"{name} must be {allowed}: {name}=...")
    if "run" not in fields:
        raise ValueError("run is missing; give the folder of a finished run: run=DIR")
    return fields, {"mdlm", *own_modules(options.config_dir)}
