"""The three reports, as values: what they list, which columns there are, how they are sorted.

A further report is one more value here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from . import cells
from .cells import Cell

#: The sides of a report, as they stand in the address, with their words.
SIDES = {"vendor": "Data Collection", "host": "Here"}


@dataclass(frozen=True)
class Column:
    """A column of a report. `sort` names the order of `filters.orders` that an index serves."""

    name: str
    words: str
    cell: Cell
    #: "vendor", "mapping" or "host": whose fact it is.
    of: str
    usual: bool = True
    sort: str = ""
    #: "text", "day", "time", "moment" or "number".
    form: str = "text"
    #: In characters, for a spreadsheet; 0 for what its form needs.
    width: int = 0

    @property
    def characters(self) -> int:
        return self.width or {"text": 16, "moment": 18, "day": 12}.get(self.form, 10)


@dataclass(frozen=True)
class Report:
    """A report over one kind: the records of the vendor, or the entities of the host."""

    slug: str
    #: The end of its name.
    title: str
    kind: Kind
    columns: tuple[Column, ...]

    def name(self, host_name: str) -> str:
        """Return the report's name, in which the host is called as the deployment has it."""
        return f"Ensora Data Collection- {host_name} {self.title}"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    def usual(self, side: str) -> tuple[str, ...]:
        """Return the names of the columns that are shown unasked: the side's own come first."""
        order = ("vendor", "mapping", "host") if side == "vendor" else ("host", "mapping", "vendor")
        shown = [column for column in self.columns if column.usual]
        return tuple(column.name for of in order for column in shown if column.of == of)

    @property
    def dated(self) -> bool:
        """Whether it asks for a range of days."""
        return self.kind is NOTE


_WORDS = {"date_of_birth": "birth date", "name": "name"}


def _columns(kind: Kind) -> tuple[Column, ...]:
    """Return the columns of a report over sites, students or users."""
    noun, entity = kind.noun, kind.entity_noun
    return (
        Column("vendor_id", f"{noun} id", cells.of_record("vendor_id"), "vendor", usual=False),
        *_facts(kind, noun, "vendor"),
        *_of_vendor(kind),
        Column("status", f"{noun} status", cells.active, "vendor", width=10),
        *_of_mapping(kind),
        Column("host_id", f"{entity} id", cells.host_id, "host", usual=False),
        *_facts(kind, entity, "host"),
        *_of_host(kind),
    )


def _facts(kind: Kind, noun: str, of: str) -> Iterator[Column]:
    for name in kind.compared:
        cell = cells.of_record(name) if of == "vendor" else cells.of_entity(f"entity_{name}")
        yield Column(
            f"{of}_{name}",
            f"{noun} {_WORDS.get(name, name.replace('_', ' '))}",
            cell,
            of,
            sort={"first_name": "first", "last_name": "last", "name": "name"}.get(name, ""),
            width=30 if name in ("email", "name") else 18,
            form="day" if name == "date_of_birth" else "text",
        )


def _of_vendor(kind: Kind) -> Iterator[Column]:
    if kind is STUDENT:
        yield Column("site", "Site", cells.of_record("site_name"), "vendor", width=24)
        zone = cells.of_record("time_zone")
        yield Column("time_zone", "Time zone", zone, "vendor", usual=False, width=20)
    if kind is USER:
        title = cells.of_record("title")
        yield Column("title", "User title", title, "vendor", usual=False)
        yield Column("site", "Sites", cells.names("site_names"), "vendor", width=24)


def _of_mapping(kind: Kind) -> tuple[Column, ...]:
    return (
        Column("mapped", "Mapped", cells.mapped, "mapping", usual=False, width=8),
        Column("mapping", "Mapping", cells.mapping, "mapping", width=9),
        Column("mapped_by", "Mapped by", cells.mapped_by, "mapping"),
        Column(
            "mapped_at",
            "Mapped at (UTC)",
            lambda row: row.at,
            "mapping",
            usual=False,
            width=18,
            form="moment",
        ),
        Column("why", "Why not mapped", cells.why(kind), "mapping", width=36),
        Column("remark", "Remark", cells.remarks(kind), "mapping", usual=False, width=36),
    )


def _of_host(kind: Kind) -> Iterator[Column]:
    if kind is STUDENT:
        yield Column("agency", "Agency", cells.of_entity("agency_name"), "host", width=24)
    if kind is USER:
        yield Column("agency", "Agencies", cells.names("agency_name"), "host", width=24)
    if kind is not SITE:
        status = f"{kind.entity_noun} status"
        yield Column("host_status", status, cells.entity_active, "host", usual=False, width=10)


def _note_columns() -> tuple[Column, ...]:
    record, entity = cells.of_record, cells.of_entity
    vendor = (
        Column("vendor_id", "Session note id", record("vendor_id"), "vendor", usual=False),
        Column("version", "Version", record("version"), "vendor", usual=False, form="number"),
        Column("vendor_date", "Date", record("date"), "vendor", sort="date", form="day"),
        Column("start", "Start", cells.minute_of_record("start"), "vendor", form="time"),
        Column("end", "End", cells.minute_of_record("end"), "vendor", form="time"),
        Column("time_zone", "Time zone", record("student_zone"), "vendor", usual=False, width=20),
        Column("student", "Student", cells.people("student"), "vendor", width=24),
        Column("user", "User", cells.people("user"), "vendor", width=24),
        Column("site", "Site", record("site_name"), "vendor", width=24),
        Column("template", "Template", record("template"), "vendor", usual=False, width=24),
        Column(
            "published_at",
            "Published at (UTC)",
            record("published_at"),
            "vendor",
            usual=False,
            form="moment",
        ),
        Column("status", "Note status", record("status"), "vendor", usual=False),
        *(
            Column(f"{whose}_signed", f"{whose.capitalize()} signed", cell, "vendor", usual=False)
            for whose in ("therapist", "guardian")
            for cell in (record(f"{whose}_signed"),)
        ),
    )
    mapping = (
        Column("start_apart", "Start apart (min)", cells.minutes(0), "mapping", form="number"),
        Column("end_apart", "End apart (min)", cells.minutes(1), "mapping", form="number"),
        Column("rendered", "Rendered", cells.rendered, "mapping", width=12),
        Column(
            "rendered_at",
            "Rendered at (UTC)",
            cells.rendered_at,
            "mapping",
            usual=False,
            form="moment",
        ),
        Column("refusals", "Refusals", cells.refusals, "mapping", width=40),
    )
    host = (
        Column("host_id", "Appointment id", cells.host_id, "host", usual=False),
        Column(
            "host_date", "Appointment date", entity("entity_date"), "host", sort="date", form="day"
        ),
        Column("host_start", "Appointment start", entity("entity_start"), "host", form="time"),
        Column("host_end", "Appointment end", entity("entity_end"), "host", form="time"),
        Column(
            "host_zone",
            "Appointment time zone",
            entity("entity_time_zone"),
            "host",
            usual=False,
            width=20,
        ),
        Column("client", "Client", cells.client_or_staff("client"), "host", width=24),
        Column("staff", "Staff", cells.client_or_staff("staff"), "host", width=24),
        Column("agency", "Agency", entity("agency_name"), "host", width=24),
        Column("host_status", "Appointment status", cells.appointment_status, "host", usual=False),
    )
    return (*vendor, *_of_mapping(NOTE), *mapping, *host)


#: In the order of their links.
ALL = (
    Report("staff", "Staff", USER, _columns(USER)),
    Report("clients", "Clients", STUDENT, _columns(STUDENT)),
    Report("appointments", "Appointments", NOTE, _note_columns()),
)
REPORTS: Mapping[str, Report] = {report.slug: report for report in ALL}
