"""`worker.py` with points in it: `python -m tests.chaos.worker FOLDER [options of worker.py]`."""

from __future__ import annotations

import sys
from pathlib import Path

import worker
from ensora_plugin.plugin import state_of
from tests.chaos.points import Armoury, install
from wsgi import app

if __name__ == "__main__":
    state_of(app).host = install(Armoury(Path(sys.argv.pop(1))))
    sys.exit(worker.main())
