"""RQ workers and the schedule for the demo host: `python worker.py --help`.

A host of your own needs the same lines with its own application.
"""

from __future__ import annotations

import argparse
import logging
import sys

from ensora_plugin import EnsoraError
from ensora_plugin.worker import run_workers, tick


def main() -> int:
    """Read the options and run; return the exit status."""
    parser = argparse.ArgumentParser(prog="worker.py", description=__doc__)
    parser.add_argument("-n", "--workers", type=int, default=2, help="processes (%(default)s)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--burst", action="store_true", help="work until nothing waits, then end")
    only.add_argument("--once", action="store_true", help="make the runs that are due, then end")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be 1 or more")
    line = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=line, stream=sys.stdout)
    # Of the plugin's lines it is known what they hold; libraries may name addresses.
    logging.getLogger("ensora").setLevel(logging.INFO)
    try:
        from wsgi import app  # reads the settings, which may be wrong

        if options.once:
            tick(app)
            return 0
        return run_workers(app, workers=options.workers, burst=options.burst)
    except EnsoraError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
