"""A process that runs cells one after the other, so that imports are paid once.

It reads folders from standard input, a line each, and answers each with a line of JSON on what was its standard
output; all that is printed meanwhile goes to ``log.txt`` in the cell's folder. When its standard input ends, because
the launcher closed it or died, it stops as after Ctrl-C: the run's checkpoint is kept.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path

from mdlm.cli_errors import in_one_line
from mdlm.study.execute import Busy, execute, log_to


def main() -> None:
    """Work until there are no more folders."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a launcher in the background hands on that it is ignored
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    folders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(folders,), daemon=True).start()
    while True:
        folder = Path(folders.get())
        log_to(folder / "log.txt")
        try:
            message = execute(folder, in_one_line)
        except Busy:
            answers.write(json.dumps({"busy": True}) + "\n")
        except ValueError as error:
            answers.write(json.dumps({"error": str(error)}) + "\n")
        else:
            answers.write(json.dumps({"error": message}) + "\n")


def _read(folders: queue.Queue[str]) -> None:
    for line in sys.stdin:
        folders.put(line.rstrip("\n"))
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
