"""A measurement: done in a process of its own, so that its memory is its own; how it is shown."""

from __future__ import annotations

import gc
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass
class Measurement:
    """What one way of doing the work cost, beside its floor and its peers, in seconds."""

    bench: str
    size: int
    db: str
    seconds: float
    floor_seconds: float | None = None
    correct: bool = True
    peak_mb: float | None = None
    peers: dict[str, float] = field(default_factory=dict)
    #: What else is worth a word in the table.
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times its floor the work costs."""
        return self.seconds / self.floor_seconds if self.floor_seconds else None

    def as_json(self) -> str:
        """Return the measurement as one line; peers stand beside the other keys."""
        told = asdict(self) | {"ratio": self.ratio}
        peers = told.pop("peers")
        rounded = {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in (told | peers).items()
        }
        return json.dumps(rounded)


class Watch:
    """Collects the seconds of the parts that count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the time inside count."""
        gc.collect()
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began


def in_child(work: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """Do `work(*args)` in a fresh process; return what it returns and its peak memory in MB.

    It comes from a server that has done nothing but import. RuntimeError where the process ends
    without an answer; what it raised stands on its stderr.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.__main__"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, work, args))
    process.start()
    theirs.close()
    try:
        answer: tuple[Any, float] = ours.recv()
    except EOFError:
        raise RuntimeError(f"{work.__name__} failed in its process") from None
    finally:
        process.join()
    return answer


def _answer(pipe: Connection, work: Callable[..., Any], args: Sequence[Any]) -> None:
    pipe.send((work(*args), _peak_mb()))
    pipe.close()


def _peak_mb() -> float:
    """Return the most memory that this process held at once.

    Linux keeps it for each address space; `ru_maxrss` would hand a parent's size down.
    """
    peak = _told_by_linux("VmHWM")
    if peak is not None:
        return peak
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1024 * 1024 if sys.platform == "darwin" else 1024)


def held_mb() -> float:
    """Return the memory that this process holds now, the most so far where that is not told."""
    held = _told_by_linux("VmRSS")
    return _peak_mb() if held is None else held


def _told_by_linux(name: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(row for row in status.read_text().splitlines() if row.startswith(name))
    return int(line.split()[1]) / 1024


_HEADS = ("bench", "size", "db", "seconds", "floor", "x floor", "correct", "peak MB", "")


def show(measurements: Sequence[Measurement]) -> None:
    """Print a table, and last one JSON line a measurement."""
    rows = [_HEADS]
    for one in measurements:
        rows.append(_row(one))
        for name, seconds in one.peers.items():
            against = f"{seconds / one.seconds:.1f} x ours"
            rows.append((f"  {name}", "", "", f"{seconds:.3f}", "", "", "", "", against))
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for one in measurements:
        print(one.as_json())


def _row(one: Measurement) -> tuple[str, ...]:
    return (
        one.bench,
        f"{one.size:,}",
        one.db,
        f"{one.seconds:.3f}",
        "" if one.floor_seconds is None else f"{one.floor_seconds:.3f}",
        "" if one.ratio is None else f"{one.ratio:.2f}",
        "yes" if one.correct else "NO",
        "" if one.peak_mb is None else f"{one.peak_mb:.0f}",
        one.note,
    )
