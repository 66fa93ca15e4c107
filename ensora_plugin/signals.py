"""Signals for the host, sent after the commit that made them true. They carry ids, never names or
clinical text.
"""

from __future__ import annotations

from typing import Any

from blinker import NamedSignal, Namespace

from .log import log

_signals = Namespace()

#: sender: the account; run_id, state (see `Run.state`), code (of the error, or None)
run_ended = _signals.signal("ensora-run-ended")
#: sender: the account; code: why pulls stopped until an administrator connects again
connection_lost = _signals.signal("ensora-connection-lost")
#: sender: the account; run_id: a pull took unusually much away, a person has to agree
pull_held = _signals.signal("ensora-pull-held")
#: sender: the account; code, failures: several runs in a row failed; sent once until one is done
pulls_failing = _signals.signal("ensora-pulls-failing")
#: sender: the account; appointment_id (host's), note_id (vendor's), version, state
appointment_rendered = _signals.signal("ensora-appointment-rendered")


def notify(signal: NamedSignal, account: str, **facts: Any) -> None:
    """Send a signal; a receiver of the host that raises is logged, and harms nothing of ours."""
    for receiver in signal.receivers_for(account):
        try:
            receiver(account, **facts)
        except Exception as error:
            log.error("receiver_failed", code=type(error).__name__)
