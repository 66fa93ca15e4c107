"""The tables of the second host: other names, UUID ids, a time zone on each visit."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class OtherBase(DeclarativeBase):
    pass


other_db = SQLAlchemy(model_class=OtherBase)


class Clinic(other_db.Model):
    """A place of work of one practice."""

    __tablename__ = "clinics"
    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    practice: Mapped[str] = mapped_column(String(64), index=True)
    called: Mapped[str] = mapped_column(String(200))
    changed: Mapped[datetime]


class Kid(other_db.Model):
    """A child in care."""

    __tablename__ = "kids"
    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    practice: Mapped[str] = mapped_column(String(64), index=True)
    clinic_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.key"))
    given: Mapped[str] = mapped_column(String(200))
    family: Mapped[str] = mapped_column(String(200))
    born: Mapped[date]
    gone: Mapped[bool] = mapped_column(default=False)
    changed: Mapped[datetime]


class Helper(other_db.Model):
    """Who gives therapy."""

    __tablename__ = "therapists"
    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    practice: Mapped[str] = mapped_column(String(64), index=True)
    given: Mapped[str] = mapped_column(String(200))
    family: Mapped[str] = mapped_column(String(200))
    mail: Mapped[str] = mapped_column(String(200))
    gone: Mapped[bool] = mapped_column(default=False)
    changed: Mapped[datetime]


class HelperClinic(other_db.Model):
    __tablename__ = "therapist_clinics"
    helper_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("therapists.key"), primary_key=True)
    clinic_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.key"), primary_key=True)
    changed: Mapped[datetime]


class Visit(other_db.Model):
    """A planned or completed session, with what was written and signed on the row itself."""

    __tablename__ = "visits"
    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    practice: Mapped[str] = mapped_column(String(64), index=True)
    clinic_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("clinics.key"))
    kid_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("kids.key"))
    helper_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("therapists.key"))
    on_day: Mapped[date] = mapped_column(index=True)
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    zone: Mapped[str] = mapped_column(String(64))
    #: Neither called off nor anything but therapy.
    counts: Mapped[bool] = mapped_column(default=True)
    completed: Mapped[bool] = mapped_column(default=False)
    frozen: Mapped[bool] = mapped_column(default=False)
    report: Mapped[str] = mapped_column(Text, default="")
    #: The note that the report came from, as id and version; empty where somebody typed it.
    report_source: Mapped[str] = mapped_column(String(100), default="")
    helper_ink: Mapped[bytes | None] = mapped_column(LargeBinary)
    guardian_ink: Mapped[bytes | None] = mapped_column(LargeBinary)
    changed: Mapped[datetime] = mapped_column(index=True)
