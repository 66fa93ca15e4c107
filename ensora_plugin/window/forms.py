"""What people send: credentials for the handshake, and a change of one row."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, PasswordField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from ..config import LONGEST_GRACE

_WITHIN_GRACES = f"Choose 0 to {LONGEST_GRACE}, in whole minutes."


class ConnectForm(FlaskForm):  # type: ignore[misc]
    """The pop-up of the first click: credentials of an Admin, and the consent to share."""

    username = StringField(
        "User name",
        [
            DataRequired("Enter the user name of an Admin of Ensora Data Collection."),
            Length(max=255),
        ],
    )
    password = PasswordField("Password", [InputRequired("Enter the password."), Length(max=1024)])
    consent = BooleanField(
        "I agree that the two systems share this information.",
        [InputRequired("Without your consent nothing is shared.")],
    )


class RowForm(FlaskForm):  # type: ignore[misc]
    """A change of a row; `seen` is the version of the mapping that the person looked at."""

    host_id = StringField(validators=[Length(max=64)])
    confirmed = BooleanField()
    reason = StringField(validators=[Length(max=255, message="Say it in 255 characters.")])
    seen = IntegerField(validators=[InputRequired(), NumberRange(min=0)])


class SettingsForm(FlaskForm):  # type: ignore[misc]
    """What an account sets for itself; an empty field takes the deployment's value."""

    interval = IntegerField(
        "Minutes between pulls",
        [Optional(), NumberRange(5, 1440, "Choose 5 minutes to 1,440 (a day), in whole minutes.")],
    )
    grace = IntegerField(
        "Grace time in minutes",
        [Optional(), NumberRange(0, LONGEST_GRACE, _WITHIN_GRACES)],
    )
    map_picked = BooleanField("An appointment that the therapist picked maps by itself")
