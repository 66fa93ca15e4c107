"""`python -m tests.chaos --kills N --seed S --db sqlite|postgres`: the exit code is 1 where
anything was violated, or too little happened.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.data import build_world
from tests.chaos.engine import chaos, rain
from tests.servers import postgres


def main() -> int:
    """Let it rain, say what came of it, in one line at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="of what happens (%(default)s)")
    parser.add_argument("--db", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--quiet", action="store_true", help="say violations and the end alone")
    chosen = parser.parse_args()

    def say(line: str) -> None:
        if not chosen.quiet or not line.startswith("round "):
            print(line, flush=True)

    # Asked to end, it ends what it started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ensora-chaos-")))
        server = stack.enter_context(postgres(again=True)) if chosen.db == "postgres" else None
        world = build_world(notes=100)
        storm = stack.enter_context(chaos(folder, world, server, seed=chosen.seed, say=say))
        tally = rain(storm, chosen.kills)
    for name, count in sorted(tally.by_name.items()):
        say(f"{name}: {count}")
    say(f"kills in all: {tally.kills}")
    print(tally.line())
    return 1 if tally.violations or tally.kills < chosen.kills else 0


if __name__ == "__main__":
    sys.exit(main())
