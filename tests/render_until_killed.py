"""Processes that render an account's mapped notes in the demo host, two at a time, and are killed.

python -m tests.render_until_killed DATABASE_URL ACCOUNT_ID ACCOUNT

Each line of standard input has two numbers, one a process: after so many statements and commits the
kernel ends it within milliseconds, wherever it is then; 0 lets it live. The answer is a line with
how both ended. The processes are forks of this one, which renders the first note by itself and so
has built the application and its statements.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event, func, select

from demo.host import create_app
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora
from ensora_plugin.models import Note
from ensora_plugin.plugin import state_of
from ensora_plugin.rendering.applying import Work
from ensora_plugin.rendering.rendering import Rendered, render_due, render_now
from tests.practices import CONFIG


def main(url: str, account_id: int, account: str) -> None:
    """Render with two processes for each line that comes in."""
    app = create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": url})
    Ensora().init_app(app, DemoHost())

    def work(by: str | None = None) -> Work:
        state = state_of(app)
        parts = (state.session, account_id, account, state.host, state.sealer)
        return Work(*parts, run_id=None, still_ours=lambda: None, by=by)

    def render(steps: int) -> None:
        if steps:
            _die_after(steps)
        with app.app_context():
            render_due(work(), Rendered())

    with app.app_context():
        session = state_of(app).session
        assert render_now(work("test"), session.scalar(select(func.min(Note.id)))) == "rendered"
        session.close()
        state_of(app).engine.dispose()
    for line in sys.stdin:
        pair = [_forked(render, int(steps)) for steps in line.split()]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pair]
        print(*ends, flush=True)


def _forked(render: Any, steps: int) -> int:
    pid = os.fork()
    if pid == 0:
        render(steps)
        os._exit(0)
    return pid


def _die_after(steps: int) -> None:
    """Set an alarm that nobody answers, after so many steps."""
    rng, left = random.Random(steps), steps

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 0.008))

    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, moment, step)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
