"""What people do in a host's own tables, in either host, in the words of the port."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from demo.host import models as demo
from ensora_plugin.clock import utcnow
from tests import other_models as other
from tests.other_host import other_id
from tests.practices import Practice

#: Entity -> table and key of the demo's host, and of the other one, and its columns by our labels.
_DEMO: dict[str, Any] = {
    "agency": demo.Agency,
    "client": demo.Client,
    "staff": demo.Staff,
    "appointment": demo.Appointment,
}
_OTHER: dict[str, Any] = {
    "agency": other.Clinic,
    "client": other.Kid,
    "staff": other.Helper,
    "appointment": other.Visit,
}
_WORDS = {
    "first_name": "given",
    "last_name": "family",
    "email": "mail",
    "name": "called",
    "staff_id": "helper_key",
    "agency_id": "clinic_key",
    "date": "on_day",
    "start": "starts_at",
    "end": "ends_at",
}


@dataclass
class Hands:
    """Changes rows of a practice's host and commits; ids are the demo's, as numbers."""

    practice: Practice

    @property
    def is_demo(self) -> bool:
        return type(self.practice.state.host).__name__ == "DemoHost"

    def id(self, entity: str, number: int) -> Any:
        """Return an id in the host's own type."""
        return number if self.is_demo else uuid.UUID(other_id(entity, number))

    def change(self, entity: str, number: int, *, stamped: bool = True, **values: Any) -> None:
        """Change a row by our labels; `stamped`: the row says that it changed, and when."""
        model, key = self._table(entity)
        said = values if self.is_demo else {_WORDS[name]: one for name, one in values.items()}
        if not self.is_demo and stamped:
            said["changed"] = utcnow()
        elif self.is_demo and not stamped:
            said["updated_at"] = model.updated_at
        self._commit(update(model).where(key == self.id(entity, number)).values(**said))

    def copy(self, entity: str, number: int, to: int) -> None:
        """Insert a copy of a row under another number, changed as long ago as the first."""
        model, key = self._table(entity)
        table = model.__table__
        where = table.c[key.key] == self.id(entity, number)
        row = dict(self.practice.session.execute(select(table).where(where)).mappings().one())
        self._commit(insert(table).values(row | {key.key: self.id(entity, to)}))

    def delete(self, entity: str, number: int) -> None:
        model, key = self._table(entity)
        if model is demo.Client:
            hours = demo.Authorization.client_id == number
            self.practice.session.execute(delete(demo.Authorization).where(hours))
        self._commit(delete(model).where(key == self.id(entity, number)))

    def leave(self, staff: int, agency: int) -> None:
        """Let a staff member leave an agency; nothing says when."""
        if self.is_demo:
            table, names = demo.StaffAgency.__table__, ("staff_id", "agency_id")
        else:
            table, names = other.HelperClinic.__table__, ("helper_key", "clinic_key")
        ids = (self.id("staff", staff), self.id("agency", agency))
        pair = [table.c[name] == id for name, id in zip(names, ids, strict=True)]
        self._commit(delete(table).where(*pair))

    def _table(self, entity: str) -> tuple[Any, Any]:
        model = (_DEMO if self.is_demo else _OTHER)[entity]
        return model, model.id if self.is_demo else model.key

    def _commit(self, statement: Any) -> None:
        self.practice.session.execute(statement)
        self.practice.session.commit()
