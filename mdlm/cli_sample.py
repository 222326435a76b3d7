"""`mdlm sample`: more tokens from a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdlm.cli_export import A_NUMBER, Fields, fields_of

USAGE = """\
Draw more chains from the model of a finished run.

Usage: mdlm sample run=DIR [FIELD=VALUE ...] [--config-dir DIR]

Fields:
  run=DIR          folder of a finished run
  n_chains=N       independent chains; as many as the run's own unless given
  chain_length=N   frames per chain, one per stride of the run; as many as the run's own unless given
  seed=N           of prompts and sampling; the run's own plus one unless given. The run's own seed and lengths give the
                   run's own chains again, bit for bit on the same machine
  out=FILE         .npy: a row of states for each chain; not where a token of the run stands for several frames
                   .npz: an array of states for each chain
                   In the run's folder, named after the seed, unless given
  cache_dir=DIR    where the run kept its finished stages, where that is not to be found from here

Tokens go to the disk as they are drawn, so a billion of them need no memory, and the same command goes on where it
was stopped.

Prompts are cut from the run's held-out data. Where these are not to be had any more, the run's own prompts are used
again, drawn at random with another seed.

--config-dir DIR is that of the run, where it had options of your own.

Examples:
  mdlm sample run=outputs/2025-01-31/12-00-00 n_chains=100 chain_length=10000000
  mdlm export run=outputs/2025-01-31/12-00-00 sampled=outputs/2025-01-31/12-00-00/sampled-seed1.npy event=0
"""

FIELDS: Fields = {
    "run": (Path, "the folder of a finished run"),
    "n_chains": A_NUMBER,
    "chain_length": A_NUMBER,
    "seed": A_NUMBER,
    "out": (Path, "a file"),
    "cache_dir": (Path, "a directory"),
}


def run(words: Sequence[str]) -> None:
    """Sample and print the file, and how it is read.

    Raises:
        ValueError: A field is wrong, or the run has no model.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    fields, trusted = fields_of("sample", FIELDS, words)
    directory, cache_dir, out = (fields.pop(name, None) for name in ("run", "cache_dir", "out"))
    from mdlm.export.finished import FinishedRun
    from mdlm.export.resampled import Resampled

    finished = FinishedRun.read(directory, cache_dir, trusted)
    resampled = Resampled.of(directory, finished, **fields)
    out = out or directory / f"sampled-seed{resampled.seed}{resampled.suffixes[0]}"
    resampled.write(out)
    clock = f"system.frame_time={finished.chains.frame_time:g} system.time_unit={finished.chains.time_unit}"
    print(f"{out}\nto learn from it: mdlm train system=states system.path={out} {clock}")
