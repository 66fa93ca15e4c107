"""What people send: credentials for the handshake, and a change of one row."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, PasswordField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange


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
