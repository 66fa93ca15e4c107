"""The port to the host: what a practice-management site offers so that the plugin can work in it.

The plugin knows no host model. A host writes one class with the shape of `HostAdapter`: SELECTs
with
agreed labels, which the plugin wraps in its own SQL, and verbs, which the plugin calls inside a
savepoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import Enum
from typing import Any, Final, Literal, Protocol, runtime_checkable

from ..database import AnySelect


class _All(Enum):
    ALL = "all"

    def __repr__(self) -> str:
        return "ALL"


#: Stands in `Actor.agencies` for a person who may see every agency of the account.
ALL: Final = _All.ALL

#: Every permission that the plugin asks for, by name.
PERMISSIONS: Final = frozenset(
    {"admin", "view", "map", "render", "report", "audit"}
    | {
        f"{verb}_{entity}"
        for verb in ("create", "edit")
        for entity in ("agency", "client", "staff")
    }
)

#: The entities of the host, in the words of the host.
Entity = Literal["agency", "client", "staff", "appointment"]


@dataclass(frozen=True)
class Actor:
    """The person of the current request, as the host knows them.

    `agencies` holds host ids in the host's own type, or `ALL`; `permissions` are names out of
    `PERMISSIONS`.
    """

    id: str
    name: str
    agencies: frozenset[Any] | Literal[_All.ALL]
    permissions: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """A signature picture that was decoded under limits and encoded anew; safe to store and to
    show.
    """

    png: bytes
    width: int
    height: int
    #: When the person signed, UTC; None where the vendor does not say.
    signed_at: datetime | None
    #: No ink found. The host's own validation decides whether it accepts a blank signature.
    blank: bool
    #: SHA-256 in hex of the picture as the vendor sent it, and of `png`.
    source_sha256: str
    stored_sha256: str


@dataclass(frozen=True)
class NoteView:
    """One version of a session note, as a host writes it into an appointment.

    Times are local to `time_zone`, the student's. `location` serves all three locations of the
    signature
    window: of the guardian's signature, of the therapist's, and of the rendering (domain: SOAP
    fields).
    """

    vendor_id: str
    version: int
    template: str
    published_at: datetime | None
    session_date: date
    start: time
    end: time
    time_zone: str
    text: str
    guardian_name: str
    relationship: str
    location: str
    therapist_signature: Signature | None
    guardian_signature: Signature | None
    #: Signatures that were sent but refused, as "therapist" or "guardian" -> reason in words.
    refused_signatures: Mapping[str, str] = field(default_factory=dict)
    #: Of the note's fields. A vendor may send other content under the same version.
    checksum: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why the host did not render or take back: a code that never changes, and words.

    `mended_by` says who can mend it, in the host's word for them, such as "scheduler" or "biller";
    None where nobody has to, since it passes by itself.
    """

    code: str
    text: str
    mended_by: str | None = None


@dataclass(frozen=True)
class Rendering:
    """What a verb of the host did.

    `stored`: the note's text and signatures stand in the appointment now (for `withdraw`: were
    taken out).
    `rendered`: the appointment is rendered now. `refusals`: why not, where it is not.
    """

    stored: bool
    rendered: bool
    refusals: Sequence[Refusal] = ()


@runtime_checkable
class HostAdapter(Protocol):
    """What a host implements. `flask ensora check` tries it against the database.

    The SELECTs carry the labels named here, no ORDER BY and no LIMIT, and read nothing of the
    request: workers use them too. Ids may be integers, text or UUIDs. The verbs run in the host's
    session, inside a savepoint, and never commit.

    `agencies`, `clients`, `staff` and `appointments` may offer `updated_at` as well, a date and
    time that moves on with every change of the row, in bulk statements too, with an index on
    account and time: then only what changed is read. What it misses (a deleted row, an agency's
    time zone, a change whose transaction took more than ten minutes) is found within a day, or at
    once by `ensora.changed`.
    """

    #: The layout that the plugin's pages extend; it has the blocks title, head and content.
    base_template: str

    def account(self) -> str:
        """Return the customer of the current request; every query is bounded by it."""
        ...

    def actor(self) -> Actor | None:
        """Return the person of the current request, or None where nobody is signed in."""
        ...

    def agencies(self, account: str) -> AnySelect:
        """Return a SELECT of: id, name."""
        ...

    def clients(self, account: str) -> AnySelect:
        """Return a SELECT of: id, first_name, last_name, date_of_birth, agency_id, active."""
        ...

    def staff(self, account: str) -> AnySelect:
        """Return a SELECT of: id, first_name, last_name, email, active."""
        ...

    def staff_agencies(self, account: str) -> AnySelect:
        """Return a SELECT of: staff_id, agency_id. A staff member of no agency has no row."""
        ...

    def appointments(self, account: str) -> AnySelect:
        """Return a SELECT of: id, client_id, staff_id, agency_id, date, start, end, time_zone,
        eligible, rendered,
        locked.

        `date`, `start` and `end` are local to `time_zone` (an IANA name). `eligible` is false for
        an appointment
        that is cancelled or is no service appointment; `locked` is true once nothing of it may
        change.
        """
        ...

    def url(
        self,
        kind: Entity,
        id: Any,
        verb: Literal["edit", "create"],
        values: Mapping[str, str] | None = None,
        back: str | None = None,
    ) -> str | None:
        """Return the address of a page of the host, or None where it has none.

        "edit" opens the entity `id`; "create" opens an empty form filled in with `values`
        (first_name, last_name, date_of_birth, email, name, agency_id) that leads to `back`, with
        `created=<id>` added to its query, when it is saved.
        """
        ...

    def render(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        """Write the note's text and signatures into the appointment and try to render it.

        Text and signatures are stored also where rendering is refused. Giving the same version with
        the same checksum twice changes nothing. Refusals are returned, never raised.
        """
        ...

    def withdraw(self, account: str, appointment_id: Any, note: NoteView) -> Rendering:
        """Take the note's text and signatures out of the appointment and take its rendering back,
        unless locked.
        """
        ...
