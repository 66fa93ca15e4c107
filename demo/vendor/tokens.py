"""Who may come in: logins, and the tokens that administrators bought for their organization."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from werkzeug.security import check_password_hash

from demo.vendor.database import Database


def now() -> str:
    """This moment as the contract writes times: RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Login:
    """A vendor user with the organization they belong to."""

    username: str
    user_id: str
    email: str
    role: str
    organization: str
    organization_name: str

    def as_json(self) -> dict[str, dict[str, str]]:
        """The members `organization` and `user` of the handshake's answers."""
        return {
            "organization": {"id": self.organization, "name": self.organization_name},
            "user": {"id": self.user_id, "email": self.email, "role": self.role},
        }


_LOGIN = "login.username, login.id, login.email, login.role, organization.id, organization.name"


def _digest(token: str) -> bytes:
    # A token is 256 random bits: a plain digest needs no salt.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Tokens(Database):
    """Logins and tokens. A token is stored as its digest only and lives until it is revoked."""

    def login(self, username: str, password: str) -> Login | None:
        """The user with this name and password, or None."""
        found = self.row(
            f"SELECT login.password_hash, {_LOGIN} FROM login "  # noqa: S608 - fixed column names
            "JOIN organization ON organization.number = login.organization WHERE username = ?",
            username,
        )
        if found is None or not check_password_hash(found[0], password):
            return None
        return Login(*found[1:])

    def issue_token(self, login: Login, application: str) -> str:
        """A new token for the login's organization. The text is given out this once."""
        token = secrets.token_urlsafe(32)
        with self.transaction() as db:
            db.execute(
                "INSERT INTO token SELECT ?, organization, username, ?, ? FROM login "
                "WHERE username = ?",
                (_digest(token), application, now(), login.username),
            )
        return token

    def token_owner(self, organization: str, token: str) -> tuple[Login, str] | None:
        """Who bought this token and when; None where it is unknown, revoked or another's."""
        found = self.row(
            f"SELECT token.created_at, {_LOGIN} FROM token "  # noqa: S608 - fixed column names
            "JOIN login ON login.username = token.username "
            "JOIN organization ON organization.number = token.organization "
            "WHERE token.digest = ? AND organization.id = ?",
            _digest(token),
            organization,
        )
        return None if found is None else (Login(*found[1:]), found[0])

    def revoke_token(self, token: str) -> None:
        """This token opens nothing any more."""
        with self.transaction() as db:
            db.execute("DELETE FROM token WHERE digest = ?", (_digest(token),))

    def revoke_tokens(self, organization: str) -> int:
        """Revoke every token of an organization, as its administrators may; how many there were."""
        with self.transaction() as db:
            return db.execute(
                "DELETE FROM token WHERE organization = "
                "(SELECT number FROM organization WHERE id = ?)",
                (organization,),
            ).rowcount
