"""Activation of an account, and the handshake between the two systems."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .clock import utcnow
from .crypto import Sealer
from .database import begin_write
from .errors import NeedsConnection, OrganizationTaken, Sealed
from .history import lock_account, write_history
from .models import Connection
from .vendor.client import DataCollection, Handshake


def find_connection(session: Session, account: str) -> Connection | None:
    """Return the connection row of an account, None where the feature is not activated."""
    return session.scalar(select(Connection).where(Connection.account == account))


def activated(session: Session, account: str) -> Connection:
    """Return the connection row of an account; raises `NeedsConnection` where the feature is not
    activated.
    """
    connection = find_connection(session, account)
    if connection is None:
        raise NeedsConnection(
            f"Synchronization is not activated for the account {account!r}; "
            "`flask ensora activate` does it."
        )
    return connection


def activate(session: Session, account: str, *, by: str) -> bool:
    """Give an account the feature; commits. Return False where it has it already."""
    begin_write(session)
    if find_connection(session, account) is not None:
        session.rollback()
        return False
    connection = Connection(account=account, state="activated")
    session.add(connection)
    session.flush()
    write_history(session, connection.id, action="activate", by=by)
    session.commit()
    return True


def connect(
    session: Session,
    account: str,
    vendor: DataCollection,
    sealer: Sealer,
    *,
    username: str,
    password: str,
    by: str,
) -> Connection:
    """Shake hands with the vendor and keep the sealed token; commits. The password is used once and
    not kept.

    Raises `NeedsConnection` (not activated), `Sealed` (no key), `OrganizationTaken`, and what
    `DataCollection.handshake` raises; then nothing is stored.
    """
    activated(session, account)
    if not sealer.ready:
        raise Sealed("ENSORA_KEYS is not set; `flask ensora make-key` prints a key to set.")
    session.rollback()
    hands = vendor.handshake(username, password)
    begin_write(session)
    connection = activated(session, account)
    lock_account(session, connection.id)
    if connection.organization_id not in (None, hands.organization_id):
        session.rollback()
        raise OrganizationTaken(
            "This account was connected to another organization of Ensora Data Collection, whose "
            "records and mappings it holds. Use an Admin of that one, or ask the support team."
        )
    _keep(connection, hands, sealer, by)
    after = {"organization": hands.organization_id}
    write_history(session, connection.id, action="connect", by=by, after=after)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise OrganizationTaken(
            "This organization of Ensora Data Collection is connected to another account already. "
            "Ask the support team where you do not know which."
        ) from None
    return connection


def _keep(connection: Connection, hands: Handshake, sealer: Sealer, by: str) -> None:
    now = utcnow()
    connection.state = "connected"
    connection.organization_id = hands.organization_id
    connection.organization_name = hands.organization_name
    connection.vendor_user = hands.user_email
    connection.connected_by, connection.connected_at = by, now
    connection.token_sealed = sealer.seal(hands.token.encode(), *token_place(connection))
    connection.due_at = now
    connection.failures, connection.error_code, connection.error_text = 0, None, None


def token_of(connection: Connection, sealer: Sealer) -> str:
    """Return the vendor's token of a connected account; raises `NeedsConnection` or `Sealed`."""
    if connection.token_sealed is None:
        raise NeedsConnection("The account is not connected to Ensora Data Collection.")
    return sealer.open(connection.token_sealed, *token_place(connection)).decode()


def token_place(connection: Connection) -> tuple[object, ...]:
    return (connection.id, "connection", connection.organization_id, "token_sealed")
