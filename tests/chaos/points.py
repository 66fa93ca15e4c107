"""Points at which a worker dies, stands still or crashes; put into it from outside.

A test arms a point with a file: `<point>.<hits before it>.<action>`. Who meets an armed point takes
the file away; the one that takes the last of its files does what it says. The product knows
nothing of it.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rq import Queue
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from ensora_plugin.vendor.client import DataCollection
from tests.chaos.counting import CountingHost

#: What a statement that is executed tells of the moment.
STATEMENTS = {
    "INSERT INTO ensora_feed": "in_page",
    "INSERT INTO ensora_mapping": "in_automap",
    "INSERT INTO ensora_history": "after_automap",
}
POINTS = (
    *("after_answer", "before_commit", "after_commit", "before_enqueue", "after_enqueue"),
    *("in_page", "in_automap", "after_automap", "in_render", "after_render"),
)
#: Met where a run asks the host for an account's agencies, as each automap does.
AT_ACCOUNT = "at_"
#: Met only where something is left to map or to render.
RARE = ("in_automap", "after_automap", "in_render", "after_render")
_SPARE_BYTES = 64 << 20


class Armoury:
    """The folder in which points are armed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def arm(self, point: str, *, after: int = 0, action: str = "kill") -> None:
        """Let the next but `after` who meets the point do the action."""
        assert point in POINTS or point.startswith(AT_ACCOUNT)
        for number in range(after + 1):
            (self.folder / f"{point}.{number}.{action}").touch()

    def armed(self) -> bool:
        """Whether nobody has done what was armed last."""
        return any(self.folder.iterdir())

    def disarm(self) -> None:
        """Take everything back."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)

    def meet(self, point: str) -> None:
        """Take a file of the point away, where there is one; with the last one, act."""
        names = sorted((n for n in os.listdir(self.folder) if n.startswith(f"{point}.")), key=_rank)
        for name in names:
            try:
                os.unlink(self.folder / name)
            except FileNotFoundError:
                continue
            _, number, action = name.split(".")
            if number == "0":
                ACTIONS[action]()
            return


def _rank(name: str) -> int:
    return -int(name.split(".")[1])


def _end_by(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _starve() -> None:
    """Leave the process little more memory than it has."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    # A process whose parent was starved before has as little already.
    least = held + _SPARE_BYTES if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_AS, (least, least))


def _fill_disk() -> None:
    """Let no file of the process grow over a few KB any more, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _end_by(signal.SIGKILL),
    "stop": _end_by(signal.SIGSTOP),
    "segv": _end_by(signal.SIGSEGV),
    "term": _end_by(signal.SIGTERM),
    "starve": _starve,
    "fill": _fill_disk,
    "hang": lambda: time.sleep(600),
}


def install(armoury: Armoury) -> CountingHost:
    """Put every point into this process; return the host that has its own."""
    _around(DataCollection, "page", None, "after_answer", armoury)
    _around(Queue, "enqueue", "before_enqueue", "after_enqueue", armoury)
    event.listen(Session, "before_commit", lambda _session: armoury.meet("before_commit"))
    event.listen(Session, "after_commit", lambda _session: armoury.meet("after_commit"))

    @event.listens_for(Engine, "after_cursor_execute")
    def _executed(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        unquoted = statement.replace('"', "")
        for beginning, point in STATEMENTS.items():
            if beginning in unquoted:
                armoury.meet(point)

    @event.listens_for(Engine, "before_cursor_execute")
    def _rendering(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE appointment "):
            armoury.meet("in_render")

    return CountingHost(
        after=lambda: armoury.meet("after_render"),
        named=lambda account: armoury.meet(AT_ACCOUNT + account),
    )


def _around(
    owner: type[Any], name: str, before: str | None, after: str | None, armoury: Armoury
) -> None:
    inner = getattr(owner, name)

    def around(*args: Any, **kwargs: Any) -> Any:
        if before:
            armoury.meet(before)
        answer = inner(*args, **kwargs)
        if after:
            armoury.meet(after)
        return answer

    setattr(owner, name, around)


def resume(pid: int) -> None:
    """Let a process that stands still go on, where it is there yet."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
