"""Frames per second of ``system=files``, against mdtraj's own `iterload` of the same atoms.

The peer only reads; ours also checks every time stamp and coordinate, makes molecules whole and keeps the frames.
Runs are interleaved, and rates are per second of processor time, so that other work on the machine hardly counts. The
peak of the memory that no file backs stands below; more copies of the data (hard links) make it a large set.

Usage: ``python benchmarks/read_files.py TOPOLOGY FILE... [--repeats 5] [--copies 1]``
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mdtraj

from mdlm.system.files import Files

CHUNKS = (100, 1000, 10_000)  # frames at a time; 100 is what iterload does unless told otherwise


def copies(files: list[str], n_copies: int, folder: Path) -> list[str]:
    """The same files several times, each with an inode of its own where it must be and no byte twice where not."""
    made = []
    for number in range(n_copies):
        for file in files:
            target = folder / f"{number}-{Path(file).name}"
            try:
                os.link(file, target)
            except OSError:  # another disk, or not ours
                target.write_bytes(Path(file).read_bytes())
            made.append(str(target))
    return made


def anonymous_bytes() -> int:
    """Memory of this process that no file backs; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def peak_bytes(work: Callable[[], object]) -> int:
    """The most anonymous memory while ``work`` runs."""
    worker = threading.Thread(target=work)
    worker.start()
    peak = 0
    while worker.is_alive():
        peak = max(peak, anonymous_bytes())
        time.sleep(0.01)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("topology")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=1)
    options = parser.parse_args()
    topology = mdtraj.load_topology(options.topology)
    atoms = topology.select(Files(lag_time=1.0).atoms)
    with tempfile.TemporaryDirectory() as folder:
        files = copies(options.files, options.copies, Path(folder))

        def iterload(chunk: int) -> None:
            for file in files:
                for _ in mdtraj.iterload(file, top=topology, chunk=chunk, atom_indices=atoms):
                    pass

        def ours() -> int:
            return Files(lag_time=1.0, topology=options.topology, path=tuple(files)).trajectories().n_frames

        contestants: dict[str, Callable[[], object]] = {
            f"iterload, {chunk} frames": lambda chunk=chunk: iterload(chunk) for chunk in CHUNKS
        }
        contestants["mdlm"] = ours
        n_frames = ours()  # compiles, and fills the system's cache of files
        peak = peak_bytes(ours)
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(options.repeats):
            for name, work in contestants.items():
                began = time.process_time()
                work()
                rates[name].append(n_frames / (time.process_time() - began))
    ratio = statistics.median(rates["mdlm"])
    print(f"{n_frames} frames, {len(atoms)} of {topology.n_atoms} atoms, {options.repeats} interleaved repeats")
    print(f"{'':<24}{'frames/s':>12}{'mdlm / it':>12}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<24}{median:>12.0f}{ratio / median:>12.2f}")
    print(f"peak of anonymous memory: {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
