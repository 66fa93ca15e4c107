"""`make demo`: the main job on a made world. `python -m demo --help` lists the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .once import run_once
from .settings import data_folder


def main() -> int:
    """Read the options and run; return the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="pull, map and render once, then end")
    parser.add_argument("--notes", type=int, default=2000, help="session notes of the made world")
    parser.add_argument(
        "--data", type=Path, default=data_folder(), help="folder of the demo's data"
    )
    parser.add_argument("--vendor-port", type=int, default=0, help="port of the emulator, 0: any")
    options = parser.parse_args()
    return run_once(options.data.resolve(), notes=options.notes, vendor_port=options.vendor_port)


if __name__ == "__main__":
    sys.exit(main())
