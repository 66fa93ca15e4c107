"""`make demo`: the main job on a made world. `python -m demo --help` lists the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .settings import data_folder

#: A smaller world has no room for every case.
SMALLEST = 100


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def main() -> int:
    """Read the options and run; return the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    add = parser.add_argument
    add("--once", action="store_true", help="pull, map and render once without a site, then end")
    add("--host", default="127.0.0.1", help="address of the site (%(default)s)")
    add("--port", type=_whole, default=5000, help="port of the site (%(default)s)")
    add("--notes", type=_whole, default=2000, help="session notes of the world (%(default)s)")
    add("--data", default="", help=f"folder of the demo's data ({data_folder()})")
    add("--vendor-port", type=_whole, default=0, help="port of the emulator; 0, the default: any")
    add("--workers", type=_whole, default=2, help="worker processes (%(default)s)")
    options = parser.parse_args()
    folder = Path(options.data or data_folder()).resolve()
    if options.notes < SMALLEST:
        print(
            f"A world has {SMALLEST} session notes at least, as in `make demo NOTES={SMALLEST}`.",
            file=sys.stderr,
        )
        return 2
    # Loading takes seconds: wrong choices are told before, and Ctrl-C is met meanwhile.
    if options.once:
        from .once import run_once

        return run_once(folder, notes=options.notes, vendor_port=options.vendor_port)
    from .serve import Choices, serve

    choices = Choices(
        folder, options.host, options.port, options.notes, options.vendor_port, options.workers
    )
    return serve(choices)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nThe demo ends; the next one goes on with the same data.", file=sys.stderr)
        sys.exit(130)
