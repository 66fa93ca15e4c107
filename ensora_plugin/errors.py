"""Every error that the plugin raises on purpose.

EnsoraError                       has a stable `code` and words for people
├── Retryable                     the same call may succeed later
│   ├── VendorUnreachable         no connection, time out, broken body, 5xx after the last try
│   │   └── AnswerUnreadable      an answer that arrived, and is no JSON of its shape
│   ├── VendorBusy                429 or 503; `retry_after` seconds where the vendor said
│   ├── DatabaseFailed            the database refused or was lost; class and SQLSTATE only
│   └── Busy                      somebody else works on the same thing just now
├── Fatal                         a person has to mend something first
│   ├── WrongSettings             ENSORA_* keys; lists everything wrong
│   ├── WrongAdapter              the host adapter; lists everything wrong
│   ├── NotMigrated               our tables are missing or of another version
│   ├── Sealed                    a sealed value does not open (key missing, row moved)
│   ├── CursorGone                the vendor no longer knows a cursor; that feed starts over
│   ├── VendorBroke               the vendor's answer breaks the contract as a whole
│   │   └── AnswerTooLarge        a body over the bound
│   ├── Held                      a pull took unusually much away; a person has to agree first
│   └── NeedsConnection           the account has no valid connection to the vendor
│       └── TokenRefused          the vendor answered 401 or 403 to our token
├── Refused                       what a person asked for is not allowed; says why
│   ├── WrongCredentials          the handshake: user name or password
│   ├── NotAnAdmin                the handshake: the vendor's user is no Admin
│   ├── OrganizationTaken         the organization is connected to another account
│   └── NotAllowed                a rule of the mappings forbids it
├── EndedByPerson                 a person stopped the run; what it committed stays
└── Fenced                        this worker lost its run to another one; it stops without a word
"""

from __future__ import annotations


class EnsoraError(Exception):
    """Base of all. `code` is stable and free of health data; `str()` is a sentence for people."""

    code = "error"

    def __init__(self, text: str, *, code: str | None = None) -> None:
        super().__init__(text)
        if code is not None:
            self.code = code


class Retryable(EnsoraError):
    """The same call may succeed later."""

    code = "retry"


class VendorUnreachable(Retryable):
    """Raised when the vendor gave no usable answer within the time and the tries."""

    code = "vendor_unreachable"


class AnswerUnreadable(VendorUnreachable):
    """Raised where an answer arrived, and is no JSON of the shape that it should have."""


class VendorBusy(Retryable):
    """Raised on 429 and 503; `retry_after` in seconds, None where the vendor did not say."""

    code = "vendor_busy"

    def __init__(self, text: str, *, retry_after: float | None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class DatabaseFailed(Retryable):
    """Raised in the place of a database error, whose own text may quote health data."""

    code = "database"


class Busy(Retryable):
    """Raised where another run of the account is under way, or somebody changes the same thing."""

    code = "busy"


class Fatal(EnsoraError):
    """A person has to mend something first; trying again changes nothing."""

    code = "fatal"


class WrongSettings(Fatal):
    """Raised at start with every wrong ENSORA_* key in one message."""

    code = "wrong_settings"


class WrongAdapter(Fatal):
    """Raised with everything that the host adapter gets wrong in one message."""

    code = "wrong_adapter"


class NotMigrated(Fatal):
    """Raised where the plugin's tables are missing or of another version."""

    code = "not_migrated"


class Sealed(Fatal):
    """Raised where a sealed value cannot be opened: no key, or it is of another row."""

    code = "sealed"


class CursorGone(Fatal):
    """Raised on 410: the feed has to start over; records and mappings stay."""

    code = "cursor_gone"


class VendorBroke(Fatal):
    """Raised where an answer breaks the contract as a whole: wrong type, no items, a cursor that
    never ends.
    """

    code = "vendor_broke_contract"


class AnswerTooLarge(VendorBroke):
    """Raised where a body inflates past its bound; the same request would only do so again."""


class Held(Fatal):
    """Raised where automap and rendering of an account wait for a person's agreement."""

    code = "held"


class NeedsConnection(Fatal):
    """Raised where the account is not activated or not connected."""

    code = "needs_connection"


class TokenRefused(NeedsConnection):
    """Raised where the vendor refuses our token (401, 403): the account needs to be connected
    again.
    """

    code = "token_refused"


class Refused(EnsoraError):
    """What a person asked for is not allowed, and why."""

    code = "refused"


class WrongCredentials(Refused):
    """Raised by the handshake on 401."""

    code = "wrong_credentials"


class NotAnAdmin(Refused):
    """Raised by the handshake on 403, or when the host's person lacks `admin`."""

    code = "not_an_admin"


class OrganizationTaken(Refused):
    """Raised where another account is connected to the same organization of the vendor."""

    code = "organization_taken"


class NotAllowed(Refused):
    """Raised where a rule of the mappings forbids what was asked."""

    code = "not_allowed"


class EndedByPerson(EnsoraError):
    """Raised in the worker of a run that a person stopped; the next run goes on where it stood."""

    code = "stopped"


class Fenced(EnsoraError):
    """Raised in a worker whose run was taken over; it must write nothing more."""

    code = "fenced"
