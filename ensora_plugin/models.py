"""The plugin's own tables: records (what the vendor said), mappings (the only precious data),
renderings, runs.

Record tables can be thrown away and pulled again. No table has a foreign key into the host's. Times
are UTC
without a zone; ids of the vendor and of the host are text.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

#: Keys compare by code point in every database, so that an index serves prefixes and order.
KeyText = String(1100).with_variant(String(1100, collation="C"), "postgresql")
#: SQLite counts up by itself only in a column of type INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

TABLE_PREFIX = "ensora_"


class Base(DeclarativeBase):
    """Own metadata, so that the host's migrations never see these tables as theirs."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {int: Integer, bytes: LargeBinary, str: String}
    __table__: ClassVar[Table]


def _account() -> Mapped[int]:
    return mapped_column(ForeignKey("ensora_connection.id"))


class Connection(Base):
    """An account of the host that has the feature, and its connection to the vendor where it has
    one.

    Its integer id stands for the account in every other table, since joins on integers are cheaper.
    """

    __tablename__ = "ensora_connection"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: The host's name for the customer.
    account: Mapped[str] = mapped_column(String(64), unique=True)
    #: "activated", "connected", or "lost": the vendor refused the token, an administrator has to
    #: connect again.
    state: Mapped[str] = mapped_column(String(12))
    organization_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    organization_name: Mapped[str | None] = mapped_column(String(255))
    #: The vendor's administrator who gave the consent, and the host's.
    vendor_user: Mapped[str | None] = mapped_column(String(255))
    connected_by: Mapped[str | None] = mapped_column(String(80))
    connected_at: Mapped[datetime | None]
    token_sealed: Mapped[bytes | None]
    #: Own values of the account; None takes the deployment's.
    interval_minutes: Mapped[int | None]
    grace_minutes: Mapped[int | None]
    #: Whether an appointment that a therapist picked maps by itself.
    map_picked: Mapped[bool] = mapped_column(default=False, server_default=false())
    #: The grace of the last pass of automap over the notes; with another one all of them are tried.
    tried_grace: Mapped[int | None]
    #: Grows with every pass of automap over the notes, which tries those that were touched since.
    generation: Mapped[int] = mapped_column(default=1, server_default="1")
    #: When the next pull is due; None while not connected.
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    #: Runs that failed one after the other, when the first of them did, and why the last one did.
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_text: Mapped[str | None] = mapped_column(Text)
    #: Since when automap and rendering wait for a person, since a pull took unusually much away.
    held_at: Mapped[datetime | None]


class Feed(Base):
    """Where the next read of one of the account's four feeds goes on; moves with the page that it
    stands for.
    """

    __tablename__ = "ensora_feed"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    cursor: Mapped[str | None] = mapped_column(String(512))
    moved_at: Mapped[datetime]
    #: Records that left use since automap last went on, less those that came back.
    gone: Mapped[int] = mapped_column(default=0, server_default="0")


class Record(Base):
    """What the four record tables share: the vendor's latest word, and why it does not map."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)

    @declared_attr
    @classmethod
    def account_id(cls) -> Mapped[int]:
        return _account()

    vendor_id: Mapped[str] = mapped_column(String(64))
    modified_at: Mapped[datetime]
    #: By which lists are sorted: names, or day and start of a note.
    sort_key: Mapped[str] = mapped_column(KeyText)
    #: Of the document as it came; equal means nothing to write.
    checksum: Mapped[bytes] = mapped_column(LargeBinary(16))
    #: A code of `reasons.py`, and what belongs to it: minutes apart, nearest host entity, the rival
    #: record.
    why: Mapped[str | None] = mapped_column(String(40))
    why_minutes: Mapped[int | None]
    nearest: Mapped[str | None] = mapped_column(String(64))
    rival: Mapped[str | None] = mapped_column(String(64))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> Any:
        return (UniqueConstraint("account_id", "vendor_id"), *cls.indices())

    @classmethod
    def indices(cls) -> tuple[Any, ...]:
        """Return what else is indexed: what automap joins on, and what lists search and sort by."""
        return (
            Index(None, "account_id", "match_key"),
            Index(None, "account_id", "name_key", "id"),
            Index(None, "account_id", "sort_key", "id"),
        )


class Site(Record):
    """A place of the vendor; stands for an agency."""

    __tablename__ = "ensora_site"

    name: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool]
    match_key: Mapped[str | None] = mapped_column(KeyText)
    #: "first last"; `sort_key` is "last first". A site has its name in both.
    name_key: Mapped[str] = mapped_column(KeyText)
    #: Of what `nearest` was chosen by; equal means that it stands.
    suggested_by: Mapped[bytes | None] = mapped_column(LargeBinary(16))


class Student(Record):
    """A child at the vendor, of one site; stands for a client. Never deleted, only inactive."""

    __tablename__ = "ensora_student"

    site_id: Mapped[str] = mapped_column(String(64))
    first_name: Mapped[str] = mapped_column(String(255))
    last_name: Mapped[str] = mapped_column(String(255))
    date_of_birth: Mapped[date]
    #: IANA name; dates and times of the student's notes are local to it.
    time_zone: Mapped[str] = mapped_column(String(64))
    active: Mapped[bool]
    match_key: Mapped[str | None] = mapped_column(KeyText)
    #: "first last"; `sort_key` is "last first". A site has its name in both.
    name_key: Mapped[str] = mapped_column(KeyText)
    #: Of what `nearest` was chosen by; equal means that it stands.
    suggested_by: Mapped[bytes | None] = mapped_column(LargeBinary(16))

    @classmethod
    def indices(cls) -> tuple[Any, ...]:
        return (*super().indices(), Index(None, "account_id", "date_of_birth"))


class User(Record):
    """A person who works at the vendor's side, or a parent; an Employee stands for staff."""

    __tablename__ = "ensora_user"

    #: "Employee" or "Parent"; parents are no staff.
    type: Mapped[str] = mapped_column(String(12))
    first_name: Mapped[str] = mapped_column(String(255))
    last_name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(255))
    #: By which an email is searched: without regard to case.
    email_key: Mapped[str] = mapped_column(KeyText)
    title: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool]
    match_key: Mapped[str | None] = mapped_column(KeyText)
    #: "first last"; `sort_key` is "last first". A site has its name in both.
    name_key: Mapped[str] = mapped_column(KeyText)
    #: Of what `nearest` was chosen by; equal means that it stands.
    suggested_by: Mapped[bytes | None] = mapped_column(LargeBinary(16))

    @classmethod
    def indices(cls) -> tuple[Any, ...]:
        return (*super().indices(), Index(None, "account_id", "email_key"))


class Membership(Base):
    """A site of a student (always one) or of a user (none, one or several)."""

    __tablename__ = "ensora_membership"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    vendor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    site_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class Note(Record):
    """A session note: what automap and lists read of it. Its text and signatures are sealed in
    `Content`.
    """

    __tablename__ = "ensora_note"

    version: Mapped[int]
    #: "published", "unpublished" or "deleted".
    status: Mapped[str] = mapped_column(String(12))
    site_id: Mapped[str] = mapped_column(String(64))
    student_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    #: The appointment that the therapist picked in the vendor's app, where the customer uses
    #: session matching.
    picked: Mapped[str | None] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(String(255))
    published_at: Mapped[datetime | None]
    #: Local to the student's zone; all three are None where one of them cannot be read.
    date: Mapped[date | None]
    #: Minutes since midnight; seconds are dropped.
    start: Mapped[int | None] = mapped_column(SmallInteger)
    end: Mapped[int | None] = mapped_column(SmallInteger)
    #: The account's generation when something changed that may let this note map.
    touched: Mapped[int] = mapped_column(default=0, server_default="0")
    #: What automap saw of its appointments when it last found why the note does not map, as
    #: `recheck.py` has it; None where it has to look again at each run.
    seen: Mapped[str | None] = mapped_column(Text)
    therapist_signed: Mapped[bool]
    guardian_signed: Mapped[bool]

    @classmethod
    def indices(cls) -> tuple[Any, ...]:
        return (
            Index(None, "account_id", "student_id", "user_id", "date"),
            Index(None, "account_id", "user_id"),
            Index(None, "account_id", "touched"),
            Index(
                "ix_ensora_note_unmapped",
                "account_id",
                "why",
                "date",
                sqlite_where=text("why IS NOT NULL"),
                postgresql_where=text("why IS NOT NULL"),
            ),
            Index(
                "ix_ensora_note_nearest",
                "account_id",
                "nearest",
                sqlite_where=text("nearest IS NOT NULL"),
                postgresql_where=text("nearest IS NOT NULL"),
            ),
            Index(
                "ix_ensora_note_picked",
                "account_id",
                "picked",
                sqlite_where=text("picked IS NOT NULL AND why IS NOT NULL"),
                postgresql_where=text("picked IS NOT NULL AND why IS NOT NULL"),
            ),
            Index(None, "account_id", "sort_key", "id"),
        )


class Content(Base):
    """The SOAP fields of one version of a note, sealed. A version that was applied is kept for
    good.
    """

    __tablename__ = "ensora_content"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    note_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]


class ReplacedContent(Base):
    """What was applied of a version, and then came otherwise under the same version; kept for good,
    once for each appointment that it was written into.

    Sealed as it was in `Content`. When it was written, by whom and with which signatures, is what
    `RenderingRow` told of it; NULL where that was not kept.
    """

    __tablename__ = "ensora_replaced_content"
    __table_args__ = (Index(None, "account_id", "note_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = _account()
    note_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    sealed: Mapped[bytes]
    at: Mapped[datetime]
    appointment_id: Mapped[str | None] = mapped_column(String(64))
    applied_at: Mapped[datetime | None]
    applied_run_id: Mapped[int | None]
    applied_by: Mapped[str | None] = mapped_column(String(80))
    signatures: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JSON)


class TemplateField(Base):
    """A SOAP field that notes of a template came with, by its meaning; "" for fields without one.

    `soap.NAMES` has the meanings.
    """

    __tablename__ = "ensora_template_field"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    template: Mapped[str] = mapped_column(String(255), primary_key=True)
    meaning: Mapped[str] = mapped_column(String(20), primary_key=True)


class SetAside(Base):
    """A record that breaks the contract, and how; goes away when a later version is whole."""

    __tablename__ = "ensora_set_aside"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    #: The vendor's id where it could be read, else "place:" and the checksum of the cursor behind
    #: which it stands; before that was so, "checksum:" and that of the document.
    vendor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Which member breaks which rule; never its value.
    reason: Mapped[str] = mapped_column(String(255))
    run_id: Mapped[int]
    at: Mapped[datetime]


class Mapping(Base):
    """A pair of a vendor's record and a host's entity, or the decision that a record needs none.

    "Not mapped" is the absence of a row.
    """

    __tablename__ = "ensora_mapping"
    __table_args__ = (
        UniqueConstraint("account_id", "kind", "vendor_id"),
        UniqueConstraint("account_id", "kind", "host_id"),
        CheckConstraint("state IN ('auto', 'user', 'ignored')", "state"),
        CheckConstraint("(host_id IS NULL) = (state = 'ignored')", "ignored_has_no_host"),
        Index(None, "run_id", "kind"),
        Index(
            "ix_ensora_mapping_unrendered",
            "account_id",
            "kind",
            sqlite_where=text("unrendered = 1"),
            postgresql_where=text("unrendered"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = _account()
    kind: Mapped[str] = mapped_column(String(8))
    vendor_id: Mapped[str] = mapped_column(String(64))
    host_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    #: Why a person ignores the record.
    reason: Mapped[str | None] = mapped_column(String(255))
    #: The person, or None for automap; then `run_id` says which run.
    by: Mapped[str | None] = mapped_column(String(80))
    run_id: Mapped[int | None]
    at: Mapped[datetime]
    #: Grows with every change by a person; one history row each.
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    #: Of a note: whether there may be something to render. Only a rendering of the note's version
    #: that stands takes it away, and whatever may make that another one sets it.
    unrendered: Mapped[bool] = mapped_column(default=True, server_default=true())


class Rejected(Base):
    """A pair that a person undid or replaced; automap never makes it again."""

    __tablename__ = "ensora_rejected"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    vendor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    by: Mapped[str] = mapped_column(String(80))
    at: Mapped[datetime]


class Directory(Base):
    """The host's agencies, clients and staff by their normalised names; kept current by
    `directory.py`.
    """

    __tablename__ = "ensora_directory"
    __table_args__ = (
        Index(None, "account_id", "entity", "match_key"),
        Index(None, "account_id", "entity", "name_key"),
        Index(None, "account_id", "entity", "sort_key"),
        Index(None, "account_id", "entity", "last_fact"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    #: "agency", "client" or "staff".
    entity: Mapped[str] = mapped_column(String(8), primary_key=True)
    host_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: All that automap compares in one key, None where a part is blank.
    match_key: Mapped[str | None] = mapped_column(KeyText)
    #: "first last" and "last first", for the drop-down's prefix search.
    name_key: Mapped[str] = mapped_column(KeyText)
    sort_key: Mapped[str] = mapped_column(KeyText)
    active: Mapped[bool]
    #: The compared parts one by one, normalised, also where one of them is blank.
    facts: Mapped[list[str]] = mapped_column(JSON)
    #: Birth date or email, None where it is blank: by it those are found whose names differ.
    last_fact: Mapped[str | None] = mapped_column(KeyText)
    #: The account's generation when the entry came or changed.
    touched: Mapped[int] = mapped_column(default=0, server_default="0")
    #: Of the row as the host told it; equal means nothing to write.
    checksum: Mapped[bytes] = mapped_column(LargeBinary(16))


class HostMark(Base):
    """How far the host's rows of one entity were read, where its SELECT offers `updated_at`."""

    __tablename__ = "ensora_host_mark"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    #: "agency", "client", "staff" or "appointment".
    entity: Mapped[str] = mapped_column(String(12), primary_key=True)
    #: The greatest `updated_at` that was seen, as ISO text in the host's own zone or without one.
    seen: Mapped[str | None] = mapped_column(String(40))
    #: When it was first seen, and whether all that could be committed late was read since then.
    moved_at: Mapped[datetime | None]
    settled: Mapped[bool] = mapped_column(default=False)
    #: When all rows were last looked at.
    whole_at: Mapped[datetime | None]


class DirectoryAgency(Base):
    """An agency of a client (one) or of a staff member (none, one or several)."""

    __tablename__ = "ensora_directory_agency"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    entity: Mapped[str] = mapped_column(String(8), primary_key=True)
    host_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agency_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class RenderingRow(Base):
    """One version of a note and one appointment: what the host did with it, and by which run or
    person.
    """

    __tablename__ = "ensora_rendering"
    __table_args__ = (
        UniqueConstraint("account_id", "note_id", "version", "appointment_id"),
        Index(None, "account_id", "appointment_id"),
        CheckConstraint(
            "state IN ('rendered', 'refused', 'failed', 'withdrawn', 'replaced')", "state"
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = _account()
    note_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    appointment_id: Mapped[str] = mapped_column(String(64))
    #: "rendered"; "refused" by the host's validation; "failed": the host raised; "withdrawn";
    #: "replaced" by a later version.
    state: Mapped[str] = mapped_column(String(10))
    #: Whether the note's text and signatures stand in the appointment.
    applied: Mapped[bool]
    #: [{"code": ..., "text": ..., "mended_by": ...}] in the host's words.
    refusals: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    #: Of "therapist" and "guardian": checksums of the picture as it came and as the host got it,
    #: whether it is blank; or why it was refused.
    signatures: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON)
    #: When this version was last written into the appointment, and by which run or person; stays
    #: when it is withdrawn or replaced.
    applied_at: Mapped[datetime | None]
    applied_run_id: Mapped[int | None]
    applied_by: Mapped[str | None] = mapped_column(String(80))
    #: The `ReplacedContent` that was written instead of the version's content as it is now, which
    #: the host has not taken yet.
    replaced_id: Mapped[int | None] = mapped_column(BigId)
    run_id: Mapped[int | None]
    by: Mapped[str | None] = mapped_column(String(80))
    at: Mapped[datetime]


class Run(Base):
    """One run of an account: pull, automap, render. Due, then running under a lease, then ended one
    way.
    """

    __tablename__ = "ensora_run"
    __table_args__ = (
        Index(
            "uq_ensora_run_live",
            "account_id",
            unique=True,
            sqlite_where=text("state IN ('due', 'running')"),
            postgresql_where=text("state IN ('due', 'running')"),
        ),
        Index(None, "account_id", "id"),
        CheckConstraint(
            "state IN ('due', 'running', 'done', 'failed', 'stopped', 'held')", "state"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = _account()
    state: Mapped[str] = mapped_column(String(8))
    #: "schedule", "person" or "command".
    cause: Mapped[str] = mapped_column(String(10))
    by: Mapped[str | None] = mapped_column(String(80))
    #: What it does, of "pull automap render", in this order.
    steps: Mapped[str] = mapped_column(String(24))
    #: The step under way.
    step: Mapped[str | None] = mapped_column(String(8))
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    #: Who asked to stop it.
    stop_by: Mapped[str | None] = mapped_column(String(80))
    #: Grows with every claim; a write under an older fence is refused.
    fence: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_text: Mapped[str | None] = mapped_column(Text)


class RunCount(Base):
    """What a run did with one kind, in numbers that people read."""

    __tablename__ = "ensora_run_count"

    run_id: Mapped[int] = mapped_column(ForeignKey("ensora_run.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    account_id: Mapped[int] = _account()
    #: fetched = new + changed + unchanged + set_aside
    fetched: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    set_aside: Mapped[int] = mapped_column(default=0)
    mapped: Mapped[int] = mapped_column(default=0)
    ambiguous: Mapped[int] = mapped_column(default=0)
    rendered: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)


class History(Base):
    """Append-only: a person's change is a row of its own; a run's mappings are one row a kind,
    count and digest.
    """

    __tablename__ = "ensora_history"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index(None, "account_id", "kind", "vendor_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = _account()
    at: Mapped[datetime]
    #: The person, or None for a run.
    by: Mapped[str | None] = mapped_column(String(80))
    run_id: Mapped[int | None]
    #: "activate", "connect", "map", "unmap", "ignore", "unignore", "automap" and the like.
    action: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str | None] = mapped_column(String(8))
    vendor_id: Mapped[str | None] = mapped_column(String(64))
    #: The mapping's version after the change.
    version: Mapped[int | None]
    #: Ids, states and counts; never names or clinical text.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    #: SHA-256 over that of the account's row before and this row; None of rows before 0.1.0.
    hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class SavedView(Base):
    """What a person chose of a report, kept under a name, for them or for all of the account."""

    __tablename__ = "ensora_saved_view"
    __table_args__ = (UniqueConstraint("account_id", "report", "owner", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = _account()
    report: Mapped[str] = mapped_column(String(16))
    #: The host's id of the person who saved it, and their name.
    owner: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(80))
    shared: Mapped[bool]
    #: The values of its address.
    choice: Mapped[dict[str, Any]] = mapped_column(JSON)


class DefaultView(Base):
    """The saved view that a person sees first of a report."""

    __tablename__ = "ensora_default_view"

    account_id: Mapped[int] = mapped_column(ForeignKey("ensora_connection.id"), primary_key=True)
    report: Mapped[str] = mapped_column(String(16), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("ensora_saved_view.id"))


class Export(Base):
    """A large file of a report that a worker makes: asked for, made, kept for its owner, ended."""

    __tablename__ = "ensora_export"
    __table_args__ = (
        Index(None, "account_id", "owner"),
        Index(None, "state"),
        CheckConstraint("state IN ('due', 'running', 'done', 'failed')", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = _account()
    #: The host's id of the person, and their name.
    owner: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(80))
    #: What the person saw when they asked: their agencies (None for all), and whether they map.
    agencies: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    may_map: Mapped[bool]
    report: Mapped[str] = mapped_column(String(16))
    #: The values of its address.
    choice: Mapped[dict[str, Any]] = mapped_column(JSON)
    form: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8))
    #: Rows that there were when it was asked for, and those that are written.
    total: Mapped[int]
    rows: Mapped[int] = mapped_column(default=0)
    #: Grows with every claim; what an earlier one writes is refused.
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    #: Bytes of the file.
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    #: After this the file is gone.
    ends_at: Mapped[datetime]


class ExportPart(Base):
    """A piece of an export's file, sealed."""

    __tablename__ = "ensora_export_part"

    export_id: Mapped[int] = mapped_column(ForeignKey("ensora_export.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = _account()
    sealed: Mapped[bytes]
