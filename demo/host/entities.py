"""What the lists, create and edit pages of the four entities have in common, on Flask-Admin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import abort, current_app, flash, request, url_for
from flask_admin.contrib.sqla import ModelView
from flask_login import current_user
from sqlalchemy import ColumnElement, func
from werkzeug.wrappers import Response
from wtforms import ValidationError

from .access import may, own_path, visible, visible_agencies, with_value
from .events import entities_changed
from .models import db
from .signin import ask

#: What a create page takes out of its address to fill in the form.
PREFILLED = ("first_name", "last_name", "date_of_birth", "email", "name", "agency_id")


def is_id(value: str) -> bool:
    """Say whether `value` can be an id of this database: digits that fit into an integer column."""
    return value.isascii() and value.isdecimal() and len(value) < 10


@dataclass(frozen=True)
class Filter:
    """A way to narrow a list: a choice, or a day where it has no options."""

    name: str
    label: str
    #: Takes what stands in the address; returns None where that means nothing.
    condition: Callable[[str], ColumnElement[bool] | None]
    options: Callable[[], Sequence[tuple[str, str]]] | None = None


def by_agency(column: Any, through: Any = None) -> Filter:
    """Narrow to one agency of the person's; `through` is a relationship that leads to `column`."""

    def condition(value: str) -> ColumnElement[bool] | None:
        if not is_id(value):
            return None
        same = column == int(value)
        return through.any(same) if through is not None else same

    def options() -> list[tuple[str, str]]:
        return [(str(agency.id), agency.name) for agency in visible_agencies()]

    return Filter("agency", "Agency", condition, options)


def by_choice(name: str, label: str, column: Any, choices: dict[str, tuple[Any, str]]) -> Filter:
    """Narrow to one value of a column: `choices` maps what the address says to (value, words)."""
    return Filter(
        name,
        label,
        lambda value: column == choices[value][0] if value in choices else None,
        lambda: [(key, words) for key, (_, words) in choices.items()],
    )


def by_active(column: Any) -> Filter:
    return by_choice("active", "Status", column, {"1": (True, "Active"), "0": (False, "Inactive")})


def by_day(name: str, label: str, compare: Callable[[date], ColumnElement[bool]]) -> Filter:
    """Narrow by a day, written YYYY-MM-DD."""

    def condition(value: str) -> ColumnElement[bool] | None:
        try:
            return compare(date.fromisoformat(value))
        except ValueError:
            return None

    return Filter(name, label, condition)


class EntityView(ModelView):
    """A list, a create page and an edit page, bounded by account, agencies and permissions.

    Whoever may look but not edit gets the edit page with its fields disabled.
    """

    can_delete = False
    can_edit = True
    page_size = 25
    column_display_actions = False
    edit_template = create_template = "host/form.html"
    #: The exposed methods that exist; Flask-Admin's others answer 404.
    pages = frozenset({"index_view", "create_view", "edit_view"})
    #: The word of the port, the word of the headings, and who may create and edit.
    entity: str
    noun: str
    create_permission: str
    edit_permission: str
    narrow: Sequence[Filter] = ()

    def __init__(self, model: Any, name: str, endpoint: str) -> None:
        super().__init__(model, db, name=name, endpoint=endpoint)

    @property
    def can_create(self) -> bool:
        return may(self.create_permission)

    @property
    def may_edit(self) -> bool:
        return may(self.edit_permission)

    def is_accessible(self) -> bool:
        return may("view")

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Response:
        return abort(403) if current_user.is_authenticated else ask()

    def _handle_view(self, name: str, **kwargs: Any) -> Any:
        refused = super()._handle_view(name, **kwargs)
        if refused is not None:
            return refused
        if name not in self.pages or (name == "edit_view" and not request.args.get("id")):
            abort(404)
        writes = name == "create_view" or request.method == "POST"
        if writes and not (self.can_create if name == "create_view" else self.may_edit):
            abort(403)
        return None

    # What the person sees

    def get_query(self) -> Any:
        return self._narrowed(super().get_query())

    def get_count_query(self) -> Any:
        return self._narrowed(db.session.query(func.count(self.model.id)))

    def _narrowed(self, query: Any) -> Any:
        query = query.filter(visible(self.model, current_user))
        for one in self.narrow:
            value = request.args.get(one.name, "")
            condition = one.condition(value) if value else None
            if condition is not None:
                query = query.filter(condition)
        return query

    def _apply_sorting(self, query: Any, joins: Any, sort_column: Any, sort_desc: bool) -> Any:
        query, joins = super()._apply_sorting(query, joins, sort_column, sort_desc)
        # Pages need an order without ties.
        return query.order_by(self.model.id), joins

    def _get_list_extra_args(self) -> Any:
        args = super()._get_list_extra_args()
        known = {one.name for one in self.narrow}
        args.extra_args = {k: v for k, v in args.extra_args.items() if k in known and v}
        args.page = min(max(args.page, 0), 1_000_000)
        args.search = (args.search or "").replace("\0", "")[:200] or None
        return args

    def get_one(self, id: Any) -> Any:
        """Return the entity, or answer 404: what a person may not see does not exist for them."""
        if not is_id(str(id)):
            abort(404)
        one = db.session.query(self.model).filter(
            self.model.id == int(id), visible(self.model, current_user)
        )
        return one.first() or abort(404)

    # What the person writes

    def create_form(self, obj: Any = None) -> Any:
        form = super().create_form(obj)
        if request.method == "GET":
            for name in PREFILLED:
                if name in request.args and name in form:
                    form[name].process(request.args)
        return form

    def on_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        if is_created:
            model.account_id = current_user.account_id

    def after_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        entities_changed.send(current_app._get_current_object(), kind=self.entity, ids=[model.id])

    def handle_view_exception(self, exc: Exception) -> bool:
        """What a rule of ours refuses is said; anything else is a fault and stays one."""
        if isinstance(exc, ValidationError):
            flash(str(exc), "danger")
            return True
        raise exc

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        if back := self.back():
            return with_value(back, "created", str(model.id)) if is_created else back
        return self.saved_url(model)

    def saved_url(self, model: Any) -> str:
        return url_for(".index_view")

    def back(self) -> str | None:
        """Return where the person came from, if the address or the form says so."""
        return own_path(request.values.get("back"))

    def shut(self, model: Any) -> str | None:
        """Return why this entity cannot be edited just now, in words."""
        return None

    def render(self, template: str, **context: Any) -> str:
        context.setdefault("back", self.back())
        model = context.get("model")
        context.setdefault("shut", self.shut(model) if model is not None else None)
        return super().render(template, **context)
