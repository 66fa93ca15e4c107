"""Signals for the host, sent after the commit that made them true. They carry ids, never names or
clinical text.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

#: sender: the account; run_id, state ("done" or "failed"), code (of the error, or None)
run_ended = _signals.signal("ensora-run-ended")
#: sender: the account; code: why pulls stopped until an administrator connects again
connection_lost = _signals.signal("ensora-connection-lost")
#: sender: the account; appointment_id (host's), note_id (vendor's), version, state
appointment_rendered = _signals.signal("ensora-appointment-rendered")
