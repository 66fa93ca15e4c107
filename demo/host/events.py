"""What the host tells others: which of its entities a person changed on its pages."""

from __future__ import annotations

from blinker import Namespace

#: Sent by the application after the commit, with kind ("agency", "client", "staff", "appointment")
#: and ids (a list).
entities_changed = Namespace().signal("entities-changed")
