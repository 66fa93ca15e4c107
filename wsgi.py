"""The demo host with the plugin mounted: `app` for gunicorn and for the `flask` command."""

from __future__ import annotations

import os
from functools import partial

from flask import url_for

from demo.host import create_app
from demo.host.adapter import DemoHost
from demo.host.events import entities_changed
from demo.settings import data_folder, read_settings_file
from ensora_plugin import Ensora
from ensora_plugin.host.port import Entity

# What `make demo` wrote down, so that `flask ensora ...` finds the same vendor and keys;
# the environment wins.
_config = {**read_settings_file(), **os.environ}
app = create_app(
    {"DATA_FOLDER": data_folder()}
    | {
        key: value
        for key, value in _config.items()
        if key.startswith("ENSORA_")
        or key in ("DATA_FOLDER", "SQLALCHEMY_DATABASE_URI", "SECRET_KEY")
    }
)
ensora = Ensora(app, DemoHost())


@entities_changed.connect_via(app)
def _tell(_sender: object, kind: Entity, ids: list[int]) -> None:
    """Hand on what people change on the host's pages, so that it maps within a minute."""
    ensora.changed(kind, ids)


def _button() -> tuple[str, str, str, bool]:
    """The Synchronization button on the host's Settings page."""
    text = "Session notes, clients and staff from Ensora Data Collection."
    return ("Synchronization", text, url_for("ensora.window"), ensora.available())


app.extensions["host_menu"]["settings"].append(_button)


def _report(slug: str) -> tuple[str, str, str, bool]:
    """The card of a report on the host's Reports page."""
    url = ensora.report_url(slug)
    return (ensora.reports()[slug], "What is mapped, and what is not.", url or "", bool(url))


app.extensions["host_menu"]["reports"] += [
    partial(_report, slug) for slug in ("staff", "clients", "appointments")
]


def _evidence(appointment_id: int) -> tuple[str, str, str, bool]:
    """The link to the evidence sheet on the host's page of an appointment."""
    url = ensora.evidence_url(str(appointment_id))
    return ("Evidence of this note", "Signatures, versions and checksums.", url or "", bool(url))


app.extensions["host_links"].append(_evidence)
