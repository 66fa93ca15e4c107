"""What SQLite and PostgreSQL need done differently: transactions, plans, upserts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Select,
    Table,
    Update,
    exists,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session

AnySession = Session | scoped_session[Session]
#: A SELECT of whatever columns.
AnySelect = Select[*tuple[Any, ...]]

#: How long a statement of a transaction that writes may take on PostgreSQL, and one that walks
#: through all of an account: a first automap, or the host's whole directory. A job ends it sooner.
STATEMENT_SECONDS, LONG_STATEMENT_SECONDS = 30, 900
#: Where in `session.info` a transaction that writes keeps what it need not read twice.
KNOWN = "ensora_known"
#: The execution option of a connection whose transactions begin with the intent to write.
IMMEDIATE = "ensora_immediate"


def begin_write(
    session: AnySession,
    first: Update | None = None,
    *,
    plans: str = "force_custom_plan",
    statement_seconds: int = STATEMENT_SECONDS,
) -> None:
    """Start a transaction that will write, with an UPDATE as its `first` statement. The session
    must hold nothing that is not committed.

    SQLite takes the write lock at once; PostgreSQL gets bounds on waiting for locks, on a statement
    and on being idle, looks after a client that went without a word, and keeps `plans` that way.
    """
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("begin_write needs a session without pending changes")
    session.rollback()
    session.info[KNOWN] = {}
    connection = session.connection(execution_options={IMMEDIATE: True})
    bounds = _bounds(plans, statement_seconds) if connection.dialect.name == "postgresql" else None
    if first is not None:
        # As a condition of no row they are set before the UPDATE waits for one.
        connection.execute(first if bounds is None else first.where(exists(select(bounds))))
    elif bounds is not None:
        connection.execute(select(bounds))


@lru_cache(maxsize=8)
def _bounds(plans: str, statement_seconds: int) -> Any:
    """Return what bounds this transaction alone. Plans are made for the values and sizes of the
    moment: one that is kept from a table's first, empty days reads it whole when it is full.
    """
    settings = {
        "lock_timeout": "2s",
        "statement_timeout": f"{statement_seconds}s",
        "idle_in_transaction_session_timeout": "15s",
        # A machine that is gone holds its locks no longer than half a minute.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "4",
        "plan_cache_mode": plans,
    }
    set_all = [
        func.set_config(name, value, literal(True)).label(name) for name, value in settings.items()
    ]
    return select(*set_all).cte("bounds").prefix_with("MATERIALIZED")


@contextmanager
def kept_plans(session: AnySession) -> Iterator[None]:
    """Let PostgreSQL plan the check of a foreign key once, not for each of many rows."""
    if session.get_bind().dialect.name != "postgresql":
        yield
        return
    session.execute(_PLANS, {"mode": "auto"})
    yield
    session.execute(_PLANS, {"mode": "force_custom_plan"})


def forget_plans(session: AnySession) -> None:
    """Let PostgreSQL plan anew what it kept plans of."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql("DISCARD PLANS")


@contextmanager
def roomy(session: AnySession) -> Iterator[None]:
    """Let SQLite keep 32 MiB of pages at hand; by itself it keeps 2, and reads the rest again."""
    if session.get_bind().dialect.name != "sqlite":
        yield
        return
    before = session.scalar(text("PRAGMA cache_size"))
    session.execute(text("PRAGMA cache_size = -32768"))
    try:
        yield
    finally:
        # The connection goes back to the pool, also after an error.
        session.connection().exec_driver_sql(f"PRAGMA cache_size = {int(before)}")


_PLANS = text("SELECT set_config('plan_cache_mode', :mode, true)")


def analyze(session: AnySession, table: Table) -> None:
    """Tell PostgreSQL what stands in a table that was filled in this transaction: it plans joins by
    what it knew before.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ANALYZE {table.name}"))


def analyze_grown(session: AnySession, account_id: int, *tables: Table) -> None:
    """Let PostgreSQL look at tables that doubled since it last did, or of which an account has rows
    that it knows nothing of; it may not have found time.

    A first automap follows the first pull at once, and without statistics its joins are cubic.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    stand = session.execute(_STAND, {"names": [table.name for table in tables]}).all()
    for row in stand:
        if row.grown or _is_new_in(session, account_id, row):
            # Another run that looks at the table now does it for both.
            session.execute(text(f"ANALYZE (SKIP_LOCKED) {row.name}"))


#: How large tables are to the eye, and whether they doubled since they were looked at.
_STAND = text(
    "SELECT c.oid::regclass::text AS name, c.reltuples AS rows, "
    # The size outlives a transaction that was rolled back, the statistics do not.
    "pg_relation_size(c.oid) > 2 * c.relpages * current_setting('block_size')::int OR NOT EXISTS "
    "(SELECT FROM pg_stats s WHERE (s.schemaname, s.tablename) = "
    "(c.relnamespace::regnamespace::text, c.relname)) AS grown "
    "FROM pg_class c WHERE c.oid = ANY (CAST(CAST(:names AS text[]) AS regclass[])) "
    "AND pg_relation_size(c.oid) > 0"
)
#: With so few rows of an account in mind, any index that begins with it is as good as another one.
_FEW = 100
#: So many rows count, or so large a part of all: a sample finds that.
_MANY, _PART = 1000, 1000


def _is_new_in(session: AnySession, account_id: int, row: Any) -> bool:
    """Tell whether PostgreSQL expects an account to have a few rows of a table at most, while there
    are many.
    """
    if row.rows < _MANY:
        return False
    own = f"SELECT FROM {row.name} WHERE account_id = {int(account_id)}"
    (explained,) = session.execute(text(f"EXPLAIN (FORMAT JSON) {own}")).scalar_one()
    if explained["Plan"]["Plan Rows"] >= _FEW:
        return False
    many = max(_MANY, int(row.rows / _PART))
    counted = f"SELECT count(*) FROM ({own} LIMIT {many}) AS own"  # noqa: S608 - ours
    return bool(session.scalar(text(counted)) == many)


def insert_for(session: AnySession, table: Table) -> Any:
    """Return the dialect's own INSERT for `table`, the one that knows ON CONFLICT."""
    return INSERTS[session.get_bind().dialect.name](table)


#: By dialect.
INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def upsert(
    session: AnySession,
    table: Table,
    rows: Sequence[dict[str, Any]],
    key: Sequence[str],
    *,
    adding: tuple[str, ...] = (),
) -> None:
    """Insert `rows`, or update those whose `key` columns are there already.

    The columns in `adding` grow by what the row has for them; the others take it.
    """
    if rows:
        dialect = session.get_bind().dialect.name
        statement = _upsert(dialect, table, tuple(rows[0]), tuple(key), adding)
        session.connection().execute(statement, rows)


@lru_cache(maxsize=64)
def _upsert(
    dialect: str,
    table: Table,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    adding: tuple[str, ...],
) -> Any:
    # Built once: `excluded` copies every column of the table.
    statement = INSERTS[dialect](table)
    changed = {
        name: table.c[name] + statement.excluded[name]
        if name in adding
        else statement.excluded[name]
        for name in columns
        if name not in key
    }
    return statement.on_conflict_do_update(index_elements=list(key), set_=changed)


def lock_refused(error: DBAPIError) -> bool:
    """Tell whether PostgreSQL waited for a lock as long as the transaction lets it."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


def sqlstate(error: DBAPIError) -> str:
    """Name a database error by class and SQLSTATE alone; its message may quote health data."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
    return f"{type(error).__name__} {state}".strip()
