"""The demo practice-management site's tables. The plugin never imports them; `adapter.py` does."""

from __future__ import annotations

from datetime import date, datetime, time

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from .clock import stored_now


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Account(db.Model):
    """A customer: one practice with its agencies, clients, staff and people who log in."""

    __tablename__ = "account"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))


class Login(UserMixin, db.Model):
    """A person who signs in to the admin site."""

    __tablename__ = "login"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    #: Names out of the plugin's permission list, separated by spaces.
    permissions: Mapped[str] = mapped_column(Text, default="")
    all_agencies: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    #: Grows at every sign-out, so that a copied cookie dies with the session it was copied from.
    epoch: Mapped[int] = mapped_column(default=0)
    account: Mapped[Account] = relationship()
    agencies: Mapped[list[Agency]] = relationship(secondary="login_agency")

    @property
    def is_active(self) -> bool:
        return self.active

    def get_id(self) -> str:
        return f"{self.id}.{self.epoch}"


class LoginAgency(db.Model):
    __tablename__ = "login_agency"
    login_id: Mapped[int] = mapped_column(ForeignKey("login.id"), primary_key=True)
    agency_id: Mapped[int] = mapped_column(ForeignKey("agency.id"), primary_key=True)


class Agency(db.Model):
    """A clinic of the account."""

    __tablename__ = "agency"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    time_zone: Mapped[str] = mapped_column(String(60), default="America/New_York")
    guardian_signature_required: Mapped[bool] = mapped_column(default=False)
    #: Appointments up to this day are closed to change.
    payroll_locked_until: Mapped[date | None]
    billing_locked_until: Mapped[date | None]

    def __str__(self) -> str:
        return self.name


class Client(db.Model):
    """A child in therapy."""

    __tablename__ = "client"
    __table_args__ = (Index("ix_client_changed", "account_id", "updated_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    agency_id: Mapped[int] = mapped_column(ForeignKey("agency.id"), index=True)
    first_name: Mapped[str] = mapped_column(String(255))
    last_name: Mapped[str] = mapped_column(String(255))
    date_of_birth: Mapped[date]
    gender: Mapped[str] = mapped_column(String(20), default="")
    #: Services end after this day.
    terminated_on: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[datetime] = mapped_column(default=stored_now, onupdate=stored_now)
    agency: Mapped[Agency] = relationship()

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"


class Staff(db.Model):
    """A therapist, or another employee who holds appointments."""

    __tablename__ = "staff"
    __table_args__ = (Index("ix_staff_changed", "account_id", "updated_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    first_name: Mapped[str] = mapped_column(String(255))
    last_name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(80), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    address: Mapped[str] = mapped_column(String(255), default="")
    has_user_account: Mapped[bool] = mapped_column(default=True)
    #: Employment ends after this day.
    inactive_from: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[datetime] = mapped_column(default=stored_now, onupdate=stored_now)
    agencies: Mapped[list[Agency]] = relationship(secondary="staff_agency")

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}"


class StaffAgency(db.Model):
    __tablename__ = "staff_agency"
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    agency_id: Mapped[int] = mapped_column(ForeignKey("agency.id"), primary_key=True, index=True)


class Authorization(db.Model):
    """A payer's leave to give a client so many hours of service between two days, both included."""

    __tablename__ = "authorization"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    number: Mapped[str] = mapped_column(String(40))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    hours: Mapped[float]
    client: Mapped[Client] = relationship()


class Appointment(db.Model):
    """A planned or held session; rendered means completed, the gate to payroll and billing."""

    __tablename__ = "appointment"
    __table_args__ = (
        Index("ix_appointment_day", "account_id", "date", "client_id", "staff_id"),
        Index("ix_appointment_staff_day", "staff_id", "date"),
        Index("ix_appointment_client_day", "client_id", "date"),
        Index("ix_appointment_changed", "account_id", "updated_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    agency_id: Mapped[int] = mapped_column(ForeignKey("agency.id"))
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    date: Mapped[date]
    start: Mapped[time]
    end: Mapped[time]
    #: "service", or "meeting" and the like, which no session note stands for.
    kind: Mapped[str] = mapped_column(String(20), default="service")
    #: "scheduled", "cancelled" or "rendered".
    status: Mapped[str] = mapped_column(String(20), default="scheduled")
    notes_required: Mapped[bool] = mapped_column(default=True)
    #: Locked by hand; a payroll or billing period locks it as well.
    locked: Mapped[bool] = mapped_column(default=False)
    rendered_at: Mapped[datetime | None]
    #: Location of Appointment Render.
    render_location: Mapped[str] = mapped_column(Text, default="")
    results_notes: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime] = mapped_column(default=stored_now, onupdate=stored_now)
    agency: Mapped[Agency] = relationship()
    client: Mapped[Client] = relationship()
    staff: Mapped[Staff] = relationship()
    signature: Mapped[AppointmentSignature | None] = relationship(
        back_populates="appointment", cascade="all, delete-orphan"
    )

    def __str__(self) -> str:
        return f"Appointment of {self.client}, {self.date:%d %b %Y}"


class AppointmentSignature(db.Model):
    """The appointment signature window: what was signed, by whom, where."""

    __tablename__ = "appointment_signature"
    __table_args__ = (UniqueConstraint("appointment_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    appointment_id: Mapped[int] = mapped_column(ForeignKey("appointment.id"))
    #: The session note, empty where somebody only signed by hand.
    source: Mapped[str] = mapped_column(String(80), default="")
    source_version: Mapped[int] = mapped_column(default=0)
    source_checksum: Mapped[str] = mapped_column(String(32), default="")
    #: What stood in Results Notes before the session note came; comes back when that is taken out.
    typed_before: Mapped[str] = mapped_column(Text, default="")
    guardian_name: Mapped[str] = mapped_column(Text, default="")
    relationship_to_client: Mapped[str] = mapped_column(Text, default="")
    session_date: Mapped[date | None]
    session_start: Mapped[time | None]
    session_end: Mapped[time | None]
    guardian_signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: A picture without ink: kept, but it counts as no signature.
    guardian_blank: Mapped[bool] = mapped_column(default=False)
    #: Added on the appointment's page; no session note takes it away for good.
    guardian_by_hand: Mapped[bool] = mapped_column(default=False)
    guardian_signed_at: Mapped[datetime | None]
    #: What was signed by hand before the session note brought its own; comes back without that.
    guardian_before: Mapped[bytes | None] = mapped_column(LargeBinary)
    guardian_before_at: Mapped[datetime | None]
    guardian_location: Mapped[str] = mapped_column(Text, default="")
    therapist_signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: A picture without ink: kept, but it counts as no signature.
    therapist_blank: Mapped[bool] = mapped_column(default=False)
    #: Added on the appointment's page; no session note takes it away for good.
    therapist_by_hand: Mapped[bool] = mapped_column(default=False)
    therapist_signed_at: Mapped[datetime | None]
    #: What was signed by hand before the session note brought its own; comes back without that.
    therapist_before: Mapped[bytes | None] = mapped_column(LargeBinary)
    therapist_before_at: Mapped[datetime | None]
    therapist_location: Mapped[str] = mapped_column(Text, default="")
    appointment: Mapped[Appointment] = relationship(back_populates="signature")
