"""Put the table and the pictures of a finished default run into the README.

Usage: ``python scripts/update_readme.py outputs/<date>/<time>``
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIGURES = ("timescales.png", "traces.png")


def main(run: Path) -> None:
    """Replace the README's output block and the figures under ``docs/``."""
    table = "\n".join(line.rstrip() for line in (run / "summary.txt").read_text().rstrip().splitlines())
    shown = table.replace(str(run.resolve()), f"outputs/{run.parent.name}/{run.name}")
    readme = ROOT / "README.md"
    text, n_blocks = re.subn(r"(?s)```\nSlow kinetics.*?\n```", lambda _: f"```\n{shown}\n```", readme.read_text())
    if n_blocks != 1:
        raise SystemExit(f"update_readme: the README holds {n_blocks} output blocks, not one")
    readme.write_text(text)
    for name in FIGURES:
        shutil.copyfile(run / "figures" / name, ROOT / "docs" / name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
