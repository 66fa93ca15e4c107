"""The emulator in process, and a client of ours that is connected to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from demo.vendor.app import create_app
from demo.vendor.store import Store
from ensora_plugin.config import Settings
from ensora_plugin.errors import (
    EnsoraError,
)
from ensora_plugin.vendor.client import DataCollection
from tests.emulator_world import ADMIN, ORGANIZATION, organization

SETTINGS = Settings(
    vendor_url="http://127.0.0.1:1", tries=3, retry_pause_seconds=0.5, longest_wait_seconds=8
)
KINDS = {"site": "sites", "student": "students", "user": "users", "note": "session-notes"}


class Vendor:
    """The emulator in process, a client that is connected to it, and the pauses it made."""

    def __init__(self) -> None:
        self.store = Store(":memory:")
        self.store.fill([organization(25)])
        self.app = create_app(self.store)
        self.played = self.app.extensions["emulator"]
        self.paused: list[float] = []
        self.transport = httpx2.WSGITransport(app=self.app)
        with self.open() as stranger:
            self.token = stranger.handshake(ADMIN["username"], ADMIN["password"]).token
        self.client = self.open(organization_id=ORGANIZATION, token=self.token)
        self.played.journal.clear()

    def open(self, **who: str) -> DataCollection:
        return DataCollection(SETTINGS, transport=self.transport, sleep=self.paused.append, **who)

    def play(self, fault: str, times: int | None = None, **args: Any) -> None:
        self.played.scenario.play([{"fault": fault, "times": times, "args": args}])

    def close(self) -> None:
        """Give connection and store back."""
        self.client.close()
        self.store.close()

    def asked(self) -> int:
        """How many requests came since the connection."""
        return len(self.played.journal.entries())


def error_of(call: Callable[[], object]) -> EnsoraError:
    with pytest.raises(EnsoraError) as raised:
        call()
    return raised.value
