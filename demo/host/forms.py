"""The forms: what people may write into entities, and what they are told when it will not do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask_admin.form import BaseForm
from flask_login import current_user
from sqlalchemy import func, select
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    Field,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import (
    DataRequired,
    InputRequired,
    Length,
    NumberRange,
    Optional,
    Regexp,
    StopValidation,
)
from wtforms.validators import ValidationError as Invalid
from wtforms.widgets import CheckboxInput, ListWidget

from . import clock
from .access import visible, visible_agencies
from .display import KINDS
from .models import Agency, Client, Staff, StaffAgency, db

EARLIEST = date(1900, 1, 1)
GENDERS = (("", "Not stated"), ("female", "Female"), ("male", "Male"), ("x", "X"))
EMAIL = Regexp(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$", message="This is not an email address.")


def clean(value: str | None) -> str:
    """Trim, and drop the NUL character, which PostgreSQL does not store."""
    return (value or "").replace("\0", "").strip()


def text(label: str, *more: Any, required: bool = False, length: int = 255, hint: str = "") -> Any:
    """A line of text; `more` are further validators."""
    first = DataRequired(f"{label} is required.") if required else Optional()
    longest = Length(max=length, message=f"At most {length} characters.")
    return StringField(label, filters=[clean], validators=[first, longest, *more], description=hint)


def day(label: str, *, required: bool = False, hint: str = "") -> Any:
    first = InputRequired(f"{label} is required.") if required else Optional()
    return DateField(label, validators=[first], description=hint)


def options(pairs: Iterable[tuple[Any, str]]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in pairs]


def one_of(noun: str) -> Any:
    """A SELECT of ids in which nobody is chosen by accident; see `to_choose`."""

    def chosen(form: Any, field: Field) -> None:
        if not field.data:
            raise StopValidation(f"Choose {noun}.")

    return SelectField(noun.split()[-1].capitalize(), coerce=int, validators=[chosen])


def to_choose(noun: str, choices: list[SelectChoice]) -> list[SelectChoice]:
    """Put a choice that is none before several."""
    return choices if len(choices) == 1 else [SelectChoice(0, f"Choose {noun}"), *choices]


def agency_options() -> list[SelectChoice]:
    return options((agency.id, agency.name) for agency in visible_agencies())


class ClientForm(BaseForm):
    first_name = text("First name", required=True)
    last_name = text("Last name", required=True)
    date_of_birth = day("Date of birth", required=True)
    gender = SelectField("Gender", choices=options(GENDERS))
    agency_id = one_of("an agency")
    terminated_on = day(
        "Services ended on", hint="The last day of services; empty while they last."
    )
    active = BooleanField("Active", default=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agency_id.choices = to_choose("an agency", agency_options())

    def validate_date_of_birth(self, field: Field) -> None:
        if field.data and not EARLIEST <= field.data <= clock.now().date():
            raise Invalid("The date of birth lies between 1900 and today.")

    def validate_terminated_on(self, field: Field) -> None:
        born = self.date_of_birth.data
        if born and field.data and field.data < born:
            raise Invalid("Services cannot end before the date of birth.")


class AgenciesField(SelectMultipleField):
    """Agencies as checkboxes. Those that the person may not see stay as they are."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def populate_obj(self, obj: Staff, name: str) -> None:
        seen = visible_agencies()
        hidden = [agency for agency in obj.agencies if agency not in seen]
        obj.agencies = hidden + [agency for agency in seen if agency.id in self.data]
        obj.updated_at = clock.stored_now()


class StaffForm(BaseForm):
    first_name = text("First name", required=True)
    last_name = text("Last name", required=True)
    email = text("Email", EMAIL, required=True)
    title = text("Title", length=80)
    phone = text(
        "Phone", Regexp(r"^\+?[0-9 ().\-]{5,}$", message="This is not a phone number."), length=40
    )
    address = text("Address")
    agency_ids = AgenciesField("Agencies", coerce=int)
    inactive_from = day("Employment ended on", hint="The last day of employment.")
    has_user_account = BooleanField("Has a user account", default=True)
    active = BooleanField("Active", default=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        member = kwargs.get("obj")
        if member is not None:
            kwargs["agency_ids"] = [agency.id for agency in member.agencies]
        super().__init__(*args, **kwargs)
        self.agency_ids.choices = agency_options()

    def validate_agency_ids(self, field: Field) -> None:
        if not field.data and not current_user.all_agencies:
            raise Invalid("Choose at least one agency.")


@cache
def time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


class AgencyForm(BaseForm):
    name = text("Name", required=True, length=120)
    time_zone = text(
        "Time zone", required=True, length=60, hint="An IANA name, such as America/New_York."
    )
    payroll_locked_until = day(
        "Payroll locked until", hint="Appointments up to this day are closed to change."
    )
    billing_locked_until = day(
        "Billing locked until", hint="Appointments up to this day are closed to change."
    )
    guardian_signature_required = BooleanField("Guardian signature required")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agency: Agency | None = kwargs.get("obj")

    def validate_name(self, field: Field) -> None:
        same = select(Agency.id).where(
            Agency.account_id == current_user.account_id,
            func.lower(Agency.name) == field.data.lower(),
            Agency.id != (self.agency.id if self.agency else None),
        )
        with db.session.no_autoflush:
            if db.session.scalar(same.limit(1)) is not None:
                raise Invalid("Another agency has this name.")

    def validate_time_zone(self, field: Field) -> None:
        if field.data not in time_zones():
            raise Invalid("This is no time zone; America/New_York is one.")


class AuthorizationForm(BaseForm):
    number = text("Number", required=True, length=40)
    starts_on = day("Starts on", required=True)
    ends_on = day("Ends on", required=True)
    hours = DecimalField(
        "Hours",
        validators=[
            InputRequired("Hours are required."),
            NumberRange(min=0, max=10_000, message="Between 0 and 10,000 hours."),
        ],
    )

    def validate_ends_on(self, field: Field) -> None:
        if self.starts_on.data and field.data and field.data < self.starts_on.data:
            raise Invalid("The end lies before the start.")


class AppointmentForm(BaseForm):
    agency_id = one_of("an agency")
    kind = SelectField("Kind", choices=options(KINDS.items()))
    client_id = one_of("a client")
    staff_id = one_of("staff")
    date = day("Date", required=True)
    start = TimeField("Start", validators=[InputRequired("Start is required.")])
    end = TimeField("End", validators=[InputRequired("End is required.")])
    notes_required = BooleanField("Notes required", default=True)
    results_notes = TextAreaField(
        "Results Notes", filters=[lambda value: (value or "").replace("\0", "")]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agency_id.choices = to_choose("an agency", agency_options())
        self.client_id.choices = to_choose("a client", _people(Client))
        self.staff_id.choices = to_choose("staff", _people(Staff))

    def validate_end(self, field: Field) -> None:
        if self.start.data and field.data and field.data <= self.start.data:
            raise Invalid("The end is not after the start.")

    def validate_client_id(self, field: Field) -> None:
        client = db.session.get(Client, field.data)
        if client is not None and client.agency_id != self.agency_id.data:
            raise Invalid(f"{client} belongs to {client.agency}.")

    def validate_staff_id(self, field: Field) -> None:
        if db.session.get(StaffAgency, (field.data, self.agency_id.data)) is None:
            raise Invalid("This staff member does not work at the chosen agency.")


def _people(model: type[Client] | type[Staff]) -> list[SelectChoice]:
    rows = db.session.execute(
        select(model.id, model.last_name, model.first_name)
        .where(visible(model, current_user))
        .order_by(model.last_name, model.first_name, model.id)
    )
    return options((row.id, f"{row.last_name}, {row.first_name}") for row in rows)
