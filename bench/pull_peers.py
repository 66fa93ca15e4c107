"""Peers of the pull, where they are installed (`make bench-peers`): requests with a loop over ORM
objects, and dlt. Both write the notes of the same vendor into a database of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from sqlalchemy import JSON, String, Text, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .databases import engine_for
from .measure import Watch, in_child
from .vendor_world import ADMIN, ORGANIZATION, PASSWORD


def peers(vendor: str, empty: Callable[[], str], notes: int) -> dict[str, float]:
    """Return peer -> seconds of those that are installed; says which ones are not."""
    found = {}
    for name, (package, work) in _PEERS.items():
        if find_spec(package) is None:
            print(
                f"{name} is skipped: {package} is not installed (make bench-peers)", file=sys.stderr
            )
            continue
        found[name] = in_child(work, vendor, empty(), notes)[0]
    return found


class _Base(DeclarativeBase):
    pass


class PeerNote(_Base):
    """A session note as one stores it who thinks of nothing else."""

    __tablename__ = "peer_note"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int]
    status: Mapped[str] = mapped_column(String(12))
    student: Mapped[str] = mapped_column(String(64))
    user: Mapped[str] = mapped_column(String(64))
    modified_at: Mapped[str] = mapped_column(Text)
    fields: Mapped[Any] = mapped_column(JSON)


def requests_and_orm(vendor: str, url: str, notes: int) -> float:
    """Read page by page, look for each note, add or change it, commit the page."""
    engine, watch = engine_for(url), Watch()
    _Base.metadata.create_all(engine)
    token = _token(vendor)
    with Session(engine) as session, watch.running():
        for items in _pages(vendor, token):
            for item in items:
                note = session.get(PeerNote, item["id"]) or PeerNote(id=item["id"])
                note.version, note.status = item["version"], item["status"]
                note.student, note.user = item["studentId"], item["userId"]
                note.modified_at, note.fields = item["modifiedAt"], item["fields"]
                session.add(note)
            session.commit()
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(PeerNote)) == notes
    return watch.seconds


def dlt_merge(vendor: str, url: str, notes: int) -> float:
    """Let dlt read the feed and merge it by id; that fields stay one column is for its good."""
    import dlt

    watch, token = Watch(), _token(vendor)
    resource = dlt.resource(
        _pages(vendor, token),
        name="notes",
        primary_key="id",
        write_disposition="merge",
        columns={"fields": {"data_type": "json"}},
    )
    with TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "ensora_bench",
            pipelines_dir=folder,
            destination=dlt.destinations.sqlalchemy(credentials=url),
            dataset_name="main" if url.startswith("sqlite") else "peer",
        )
        with watch.running():
            pipeline.run(resource)
    return watch.seconds


def _token(vendor: str) -> str:
    who = {"username": ADMIN, "password": PASSWORD, "application": "bench"}
    answer = httpx2.post(f"{vendor}/v1/tokens", json=who, trust_env=False)
    return str(answer.json()["token"])


def _pages(vendor: str, token: str) -> Iterator[list[dict[str, Any]]]:
    import requests

    params: dict[str, Any] = {"size": 100}
    with requests.Session() as http:
        http.auth, http.trust_env = (ORGANIZATION, token), False
        http.headers["User-Agent"] = "bench"
        while True:
            page = http.get(f"{vendor}/v1/session-notes", params=params, timeout=60).json()
            yield page["items"]
            if not page["hasMore"]:
                return
            params["cursor"] = page["cursor"]


_PEERS: dict[str, tuple[str, Callable[[str, str, int], float]]] = {
    "requests_and_orm": ("requests", requests_and_orm),
    "dlt": ("dlt", dlt_merge),
}
