"""`python -m bench NAME --notes N --db sqlite|postgres`: own data, measured, checked.

`python -m bench fairness --accounts N --workers W`: many accounts due at once, some of them sick.
`python -m bench list --rows N`: the pages of the window.
`python -m bench report --rows N`: the reports and their files.
"""

from __future__ import annotations

import argparse
import sys

from . import automap, explain, fairness, idle, listing, pull, render, report
from .databases import KINDS
from .measure import show

_BENCHES = {
    "automap": automap.measure,
    "explain": explain.measure,
    "fairness": fairness.measure,
    "idle": idle.measure,
    "list": listing.measure,
    "pull": pull.measure,
    "render": render.measure,
    "report": report.measure,
}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line's choices, each with a default."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("bench", choices=_BENCHES)
    parser.add_argument("--notes", type=int, default=20_000, help="size (%(default)s)")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="of list and report (%(default)s)"
    )
    parser.add_argument("--accounts", type=int, default=1000, help="of fairness (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="of fairness (%(default)s)")
    parser.add_argument("--db", choices=KINDS, default=KINDS[0], help="database (%(default)s)")
    parser.add_argument("--clients", type=int, help="clients of the bench idle (a 50th of notes)")
    parser.add_argument("--seed", type=int, default=7, help="of the made data (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit code is 1 where a result is not what the made data ask for."""
    chosen = options(arguments)
    size, more = chosen.notes, {}
    if chosen.bench == "idle":
        more["clients"] = chosen.clients or max(20, chosen.notes // 50)
    if chosen.bench in ("list", "report"):
        size = chosen.rows
    if chosen.bench == "fairness":
        size, more["workers"] = chosen.accounts, chosen.workers
    measured = list(_BENCHES[chosen.bench](size, chosen.db, chosen.seed, **more))
    show(measured)
    return 0 if all(one.correct for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
