"""What a row of a tab shows, as columns of one SELECT, for any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, TableClause, and_, case, func, literal, or_, select
from sqlalchemy.orm import aliased

from ..access import Scope
from ..dialect import as_host_id, pinned_join
from ..host.entities import host_entity, of_agencies
from ..host.port import HostAdapter
from ..joins import mapping_of, person_of_note, rendering_of_version, student_of_note
from ..kinds import NOTE, SITE, STUDENT, USER, Kind
from ..mapping.depending import dependents_of
from ..models import Directory, Mapping, Membership, Note, RenderingRow, Site, Student, User
from ..rendering.applying import standing_version
from ..text import SEPARATOR


def with_columns(
    scope: Scope,
    host: HostAdapter,
    kind: Kind,
    keys: Any,
    more: Callable[[Any], Iterable[ColumnElement[Any]]] = lambda _entity: (),
) -> Select[Any]:
    """SELECT what the rows of a kind show; `keys` chooses them by id, vendor_id and nearest.

    `more` returns what else is wanted of the entities that they are mapped to.
    """
    model = kind.model
    page = keys.cte("page")
    entity = _mapped_entities(scope, host, kind, page)
    statement: Any = (
        select(
            *record_columns(kind),
            kind.settled.label("settled"),
            Mapping.state.label("state"),
            Mapping.host_id.label("host_id"),
            Mapping.by.label("by"),
            Mapping.at.label("at"),
            Mapping.reason.label("reason"),
            func.coalesce(Mapping.version, 0).label("mapping_version"),
            # Only a mapping of a person is deleted, so only there it matters what stands on it.
            case((Mapping.state == "user", dependents_of(kind)), else_=0).label("dependents"),
            *labelled(entity),
            *more(entity),
        )
        .join(page, page.c.id == model.id)
        .outerjoin(Mapping, mapping_of(kind))
        .outerjoin(entity, entity.c.id == as_host_id(Mapping.host_id, entity.c.id))
    )
    statement = _with_nearest(statement, scope, host, kind, page)
    return with_facts(statement, scope, host, kind, entity)


def labelled(entity: Any) -> list[ColumnElement[Any]]:
    """Return the columns of a host's entity as the rows name them."""
    return [column.label(f"entity_{column.key}") for column in entity.c]


def with_facts(
    statement: Select[Any], scope: Scope, host: HostAdapter, kind: Kind, entity: Any
) -> Select[Any]:
    """Add what stands beside a record with its mapping and its entity: people, site, rendering."""
    if kind is NOTE:
        return _with_note(statement, scope, host, entity)
    return _with_directory(statement, scope, host, kind, entity)


#: Columns of a record that no row shows.
_UNSHOWN = frozenset(("checksum", "modified_at", "match_key", "suggested_by", "touched", "seen"))


def record_columns(kind: Kind) -> list[Any]:
    """Return the columns of a record; not the ORM's record, of which a page would make fifty."""
    shown = (one.key for one in kind.model.__mapper__.column_attrs if one.key not in _UNSHOWN)
    return [getattr(kind.model, name) for name in shown]


def _mapped_entities(scope: Scope, host: HostAdapter, kind: Kind, page: Any) -> Any:
    """The host's entities that the records of a page are mapped to."""
    every = host_entity(host, scope.account, kind)
    own = aliased(Mapping, name="page_mapping")
    ids: Select[Any] = select(as_host_id(own.host_id, every.c.id).label("id")).select_from(
        pinned_join(
            page,
            own,
            and_(
                own.account_id == scope.account_id,
                own.kind == kind.name,
                own.vendor_id == page.c.vendor_id,
            ),
        )
    )
    return few(every, ids, "entity")


def few(every: Any, ids: Select[Any], name: str) -> Any:
    """The entities of some ids, found before anything else is joined: SQLite reads a SELECT of
    several tables whole that stands where a row may have no counterpart. One of a single table it
    looks up by itself.
    """
    tables = every.element.get_final_froms()
    if len(tables) == 1 and isinstance(tables[0], TableClause):
        return every.element.subquery(name)
    asked = ids.distinct().subquery("asked")
    found = select(*every.c).select_from(pinned_join(asked, every, every.c.id == asked.c.id))
    return found.cte(name).prefix_with("MATERIALIZED")


def _within(scope: Scope, host: HostAdapter, kind: Kind, entity: Any) -> ColumnElement[bool]:
    """Tell whether the mapping's entity is of the actor's agencies, or gone: then nobody else's."""
    yours = of_agencies(scope, host, kind, entity)
    return or_(entity.c.id.is_(None), yours).label("within")


def _with_directory(
    statement: Select[Any], scope: Scope, host: HostAdapter, kind: Kind, entity: Any
) -> Select[Any]:
    """Add whether the names differ now, whether the entity is of the actor's agencies, and the
    site.
    """
    model: Any = kind.model
    differs = case((Directory.match_key == model.match_key, False), else_=True)
    statement = statement.add_columns(
        differs.label("names_differ"), _within(scope, host, kind, entity)
    ).outerjoin(
        Directory,
        and_(
            Directory.account_id == model.account_id,
            Directory.entity == kind.entity,
            Directory.host_id == Mapping.host_id,
        ),
    )
    if kind is USER:
        statement = statement.add_columns(_site_names(scope).label("site_names"))
    if kind is STUDENT:
        statement = statement.add_columns(Site.name.label("site_name")).outerjoin(
            Site, and_(Site.account_id == Student.account_id, Site.vendor_id == Student.site_id)
        )
    return statement


def _with_nearest(
    statement: Select[Any], scope: Scope, host: HostAdapter, kind: Kind, page: Any
) -> Select[Any]:
    """Add the entity that comes nearest to a record that is not mapped, and who holds it."""
    model: Any = kind.model
    every = host_entity(host, scope.account, kind)
    ids: Select[Any] = select(as_host_id(page.c.nearest, every.c.id).label("id")).where(
        page.c.nearest.is_not(None)
    )
    nearest = few(every, ids, "nearest")
    taken = aliased(Mapping, name="nearest_taken")
    return (
        statement.add_columns(
            *(column.label(f"nearest_{column.key}") for column in nearest.c),
            taken.vendor_id.label("nearest_holder"),
            of_agencies(scope, host, kind, nearest).label("nearest_within"),
        )
        .outerjoin(
            nearest,
            and_(Mapping.id.is_(None), nearest.c.id == as_host_id(model.nearest, nearest.c.id)),
        )
        .outerjoin(
            taken,
            and_(
                taken.account_id == model.account_id,
                taken.kind == kind.name,
                taken.host_id == model.nearest,
            ),
        )
    )


def _site_names(scope: Scope) -> Any:
    """The names of a user's sites that the actor sees, with `SEPARATOR` between them."""
    return (
        select(func.aggregate_strings(Site.name, SEPARATOR))
        .join(
            Membership,
            and_(
                Membership.account_id == Site.account_id,
                Membership.site_id == Site.vendor_id,
                Membership.kind == USER.name,
            ),
        )
        .where(
            Site.account_id == scope.account_id,
            Membership.vendor_id == User.vendor_id,
            scope.sees(SITE),
        )
        .correlate(User)
        .scalar_subquery()
    )


def home_agency(kind: Kind) -> list[ColumnElement[Any]]:
    """Return the agency that a site of the record is mapped to: where a new entity would belong."""
    if not kind.by_site:
        return []
    home = aliased(Mapping, name="home_mapping")
    found = (
        select(func.min(home.host_id))
        .select_from(
            pinned_join(
                Membership.__table__,
                home,
                and_(
                    home.account_id == Membership.account_id,
                    home.kind == SITE.name,
                    home.vendor_id == Membership.site_id,
                ),
            )
        )
        .where(
            Membership.account_id == kind.model.account_id,
            Membership.kind == kind.name,
            Membership.vendor_id == kind.model.vendor_id,
        )
        .correlate(kind.model)
        .scalar_subquery()
    )
    return [found.label("home_agency")]


def _with_note(statement: Select[Any], scope: Scope, host: HostAdapter, entity: Any) -> Select[Any]:
    """Add a note's people and site, the nearest appointment, and what was rendered."""
    client, staff, agency = (
        aliased(Mapping, name=f"{of}_is") for of in ("client", "staff", "agency")
    )
    return (
        statement.add_columns(
            Student.first_name.label("student_first"),
            Student.last_name.label("student_last"),
            User.first_name.label("user_first"),
            User.last_name.label("user_last"),
            Site.name.label("site_name"),
            Student.time_zone.label("student_zone"),
            RenderingRow.state.label("rendering"),
            RenderingRow.refusals.label("refusals"),
            RenderingRow.at.label("rendering_at"),
            RenderingRow.applied.label("applied"),
            RenderingRow.replaced_id.label("replaced_id"),
            RenderingRow.signatures.label("signatures"),
            standing_version(Note.account_id, Note.vendor_id, Mapping.host_id).label("standing"),
            client.host_id.label("client_is"),
            staff.host_id.label("staff_is"),
            agency.host_id.label("agency_is"),
            literal(False).label("names_differ"),
            _within(scope, host, NOTE, entity),
        )
        .outerjoin(client, person_of_note(STUDENT, client, Note.student_id))
        .outerjoin(staff, person_of_note(USER, staff, Note.user_id))
        .outerjoin(agency, person_of_note(SITE, agency, Note.site_id))
        .outerjoin(Student, student_of_note())
        .outerjoin(User, and_(User.account_id == Note.account_id, User.vendor_id == Note.user_id))
        .outerjoin(Site, and_(Site.account_id == Note.account_id, Site.vendor_id == Note.site_id))
        .outerjoin(
            RenderingRow,
            rendering_of_version(Mapping.host_id),
        )
    )
