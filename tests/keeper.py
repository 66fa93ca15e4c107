"""Keeps one server alive for as long as the process that asked for it; run as a program by
`servers.py`.

Standard input is a pipe from that process. When it closes, or when the process is gone in any other
way (kill -9 too), the server is stopped and its folder removed. Runs in a session of its own, so
that Ctrl-C reaches the tests alone.

Argument: JSON with `folder`, `user` and `group` (numbers, or null to stay who we are), `prepare` (a
list of commands to run first), `serve` (the server's command), `parent` (process id) and `again`
(start a server that ended once more, unless the folder holds a file `down`).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

STOP_SECONDS = 10
LOOK_EVERY = 0.25


def main(task: dict[str, Any]) -> int:
    """Run the server until the parent lets go; return the exit code of what failed, or 0."""
    folder = Path(task["folder"])
    who = {} if task["user"] is None else {"user": task["user"], "group": task["group"]}
    if who:
        who["extra_groups"] = []
    try:
        with (folder / "server.log").open("wb") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": folder}
            for command in task["prepare"]:
                subprocess.run(command, check=True, **options, **who)
            server = subprocess.Popen(task["serve"], **options, **who)
            try:
                while parent_holds(task["parent"]):
                    if server.poll() is None:
                        continue
                    if not task["again"]:
                        break
                    if not (folder / "down").exists():
                        server = subprocess.Popen(task["serve"], **options, **who)
            finally:
                stop(server)
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parent_holds(parent: int) -> bool:
    """Wait a moment; false once the pipe is closed or the parent is gone.

    The parent's id is looked at as well: a child that it forked may still hold the pipe open.
    """
    ready, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY)
    return not ready and os.getppid() == parent


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server: SIGINT (PostgreSQL's fast shutdown; it ends Redis too), then SIGKILL."""
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
