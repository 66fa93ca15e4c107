"""Synchronizes Ensora Data Collection with a practice-management admin site."""

from . import signals
from .config import Settings
from .engine import configure_engine
from .errors import EnsoraError
from .host.port import ALL, PERMISSIONS, Actor, HostAdapter, NoteView, Refusal, Rendering, Signature
from .migrating import include_name
from .plugin import Ensora

__all__ = [
    "ALL",
    "PERMISSIONS",
    "Actor",
    "Ensora",
    "EnsoraError",
    "HostAdapter",
    "NoteView",
    "Refusal",
    "Rendering",
    "Settings",
    "Signature",
    "configure_engine",
    "include_name",
    "signals",
]
