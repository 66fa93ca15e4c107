"""The pages of the reports: the table, the summary over it, the files, and the sheet to print."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import abort, current_app, redirect, request, session, url_for
from markupsafe import Markup

from ..automap.reasons import REASONS, UNTRIED
from ..clock import utcnow
from ..kinds import NOTE, SITE
from ..listing.conditions import NOT_TRIED
from ..listing.filters import RENDERINGS, STATES, orders
from ..window.htmx import fragment
from ..window.views import (
    offered_agencies,
    print_once,
    progress_context,
    tabs_context,
    window_page,
)
from ..window.web import bp, connection_of, needs, scope_of, standing_of, state_of_app
from .cells import screen_text
from .choice import Choice
from .exporting import remember
from .grouping import groups_of
from .saved import default_address, views_of
from .sides import Source, count_of, page_of
from .spec import ALL, REPORTS, SIDES, Report
from .summary import summary_of
from .table import heads_of, lines_of

#: So many rows are put on paper at once.
PRINTED = 5000
#: So many seconds counts of the host's side are kept.
_FRESH = 30


def report_of(slug: str) -> Report:
    return REPORTS.get(slug) or abort(404)


def choice_of(report: Report) -> Choice:
    """Read what was chosen from the request's address."""
    return Choice.read(report, request.args, utcnow().date())


def source_of(choice: Choice) -> Source:
    """Return where the rows of a choice come from for the person of the request."""
    state = state_of_app()
    return Source(state.session, scope_of(), state.host, choice.report.kind, choice.side)


def name_of(report: Report) -> str:
    return report.name(state_of_app().settings.host_name)


def _shared_context(choice: Choice) -> dict[str, Any]:
    report = choice.report
    return {
        "report": report,
        "reports": ALL,
        "name": name_of(report),
        "choice": choice,
        "filters": choice.filters,
        "heads": heads_of(choice),
        "sides": SIDES,
    }


def _table_context(choice: Choice) -> dict[str, Any]:
    source = source_of(choice)
    if choice.group:
        groups = groups_of(source, choice)
        return {"groups": groups, "page": None, "rows": [], "total": len(groups)}
    page = page_of(source, choice.filters)
    rows = _printed(choice, page.rows)
    return {"groups": [], "page": page, "rows": rows, "total": _total(source, choice)}


def _printed(choice: Choice, rows: list[Any]) -> list[Markup]:
    """Return rows as the table shows them; one that says what it said is made once."""
    scope, heads = scope_of(), heads_of(choice)
    shown = (choice.report.slug, choice.side, *(head.name for head in heads))
    at = url_for("ensora.tab", slug=choice.report.kind.slug)

    @cache
    def template() -> Any:
        return current_app.jinja_env.get_template("ensora/partials/report_row.html").module

    def make(number: int) -> Markup:
        row = rows[number]
        cells = [screen_text(column.cell(row)) for column in choice.columns]
        printed: Markup = template().row_of(heads, cells, leads_to(choice, row))
        return printed

    whose = repr((scope.account_id, scope.agencies, scope.actor, at, *shown)).encode()
    return print_once(whose, rows, None, make)


def leads_to(choice: Choice, row: Any) -> str:
    """Return the address of a row in the window: its own, or of what might stand for it."""
    kind = choice.report.kind
    if kind is SITE and not scope_of().has_agency:
        return ""
    if row.vendor_id is not None:
        told = {"show": "all", "q": row.vendor_id, "inactive": 1}
    elif kind is NOTE:
        day = row.entity_date.isoformat() if row.entity_date else None
        told = {"show": "to-map", "since": day, "until": day}
    else:
        name = getattr(row, "entity_last_name", "") or getattr(row, "entity_name", "")
        told = {"show": "to-map", "q": name or None}
    return url_for("ensora.tab", slug=kind.slug, **told)


def _total(source: Source, choice: Choice) -> int | None:
    """Count the rows; what is searched for, and renderings, leave no stamp to count by."""
    filters = choice.filters
    if filters.search.strip():
        return None

    def count() -> int:
        return count_of(source, filters)

    if filters.rendering or filters.refusal:
        return count()
    key = (*_counted_by(choice), filters.state)
    found: int = state_of_app().counted.get(key, _stamp(choice), count)
    return found


def _stamp(choice: Choice) -> tuple[Any, ...]:
    """Return what counts are kept by: nobody tells us what people change in the host."""
    stamp = standing_of().stamp
    if choice.side == "host":
        stamp += (utcnow().timestamp() // _FRESH,)
    return stamp


def _counted_by(choice: Choice) -> tuple[Any, ...]:
    """Return what counts of a choice depend on, beside its state and its search."""
    scope = scope_of()
    whose = (scope.account_id, scope.agencies, scope.may("map"))
    return (*whose, choice.report.slug, choice.side, choice.filters.counted)


def _bar_context(choice: Choice) -> dict[str, Any]:
    report, host_side = choice.report, choice.side == "host"
    reasons = REASONS | {NOT_TRIED: UNTRIED}
    return {
        "states": {k: v for k, v in STATES.items() if not (host_side and k == "ignored")},
        "agencies": offered_agencies(),
        "renderings": RENDERINGS if report.kind is NOTE else {},
        "orders": orders(report.kind),
        "reasons": {} if host_side else reasons,
    }


@bp.get("/reports/")
@needs("report")
def reports() -> Any:
    """The place of the reports: the first of them."""
    return redirect(url_for("ensora.report", name=ALL[0].slug))


@bp.get("/reports/<name>/")
@needs("report")
def report(name: str) -> Any:
    """A report as it was chosen in the address."""
    if connection_of().state == "activated":
        return redirect(url_for("ensora.window"))
    choice = choice_of(report_of(name))
    views = views_of(state_of_app().session, scope_of(), choice.report)
    first = default_address(views)
    if first is not None and not request.args:
        return redirect(url_for("ensora.report", name=name, **first))
    return window_page(
        "report.html",
        views=views,
        current_view=request.args.get("view", type=int),
        notice=session.pop("ensora_notice", None),
        **tabs_context(None, reports=True),
        **progress_context(),
        **_shared_context(choice),
        **_bar_context(choice),
        **_table_context(choice),
    )


@bp.get("/reports/<name>/summary")
@needs("report")
def report_summary(name: str) -> Any:
    """What is mapped and what is not, over the table."""
    choice = choice_of(report_of(name))
    return fragment("report_summary.html", **_summary_context(choice))


def _summary_context(choice: Choice) -> dict[str, Any]:
    source = source_of(choice)

    def count() -> Any:
        return summary_of(source, choice)

    key = ("summary", *_counted_by(choice), choice.filters.search)
    return {
        "choice": choice,
        "summary": state_of_app().counted.get(key, _stamp(choice), count),
    }


@bp.get("/reports/<name>/columns")
@needs("report")
def report_columns(name: str) -> Any:
    """Which columns there are to choose from, and how to move them."""
    choice = choice_of(report_of(name))
    return fragment("report_columns.html", report=choice.report, choice=choice)


@bp.get("/reports/<name>/print")
@needs("report")
def report_print(name: str) -> Any:
    """All rows of a choice on one page, to be printed; so many that no paper holds them are not."""
    choice = choice_of(report_of(name))
    source = source_of(choice)
    many = not choice.group and count_of(source, choice.filters, PRINTED + 1) > PRINTED
    lines = [] if many else [list(map(screen_text, line)) for line in lines_of(source, choice)]
    if not many:
        remember(source, choice, "print", len(lines), by=scope_of().actor.name)
    return window_page(
        "report_print.html", lines=lines, most=PRINTED if many else 0, **_shared_context(choice)
    )
