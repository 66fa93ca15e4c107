"""What `explain` tells of a record: the reason in words, and the entities that come near."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..database import AnySession
from ..host.port import HostAdapter

#: So many candidates are told at most, the nearest ones.
MOST = 50
ELSEWHERE = "another agency"


@dataclass(frozen=True)
class Fact:
    """One fact of a record beside an entity's, as people read it; `equal` by the rules of automap.

    Times are equal within the grace.
    """

    label: str
    vendor: str
    host: str
    equal: bool


@dataclass(frozen=True)
class Holder:
    """The record that an entity is mapped to."""

    vendor_id: str
    words: str

    @classmethod
    def elsewhere(cls) -> Holder:
        """Return what is told where the person may not see the record."""
        return cls("", f"a record of {ELSEWHERE}")


@dataclass(frozen=True)
class Candidate:
    """An entity of the host that comes near a record.

    One that is `hidden`, the last one, stands for all that the person may not see: nothing is told
    of them but that they are there, in another agency.
    """

    host_id: str
    name: str
    facts: tuple[Fact, ...] = ()
    #: Minutes between the starts and the ends of a note and an appointment, where they compare.
    start_apart: int | None = None
    end_apart: int | None = None
    taken_by: Holder | None = None
    #: A person undid or replaced this pair; automap never makes it again.
    rejected: bool = False
    #: Not cancelled, and a service; a client or staff member that is active.
    eligible: bool = True
    hidden: bool = False

    @classmethod
    def elsewhere(cls) -> Candidate:
        """Return what stands for all candidates that the person may not see."""
        return cls(host_id="", name=ELSEWHERE, hidden=True)

    @property
    def differing(self) -> tuple[str, ...]:
        """The labels of the facts that are not equal."""
        return tuple(fact.label for fact in self.facts if not fact.equal)


@dataclass(frozen=True)
class Explanation:
    """Why a record does not map, and what comes near, the nearest first.

    `code` is one of `reasons.py`; None where the record is mapped, ignored or not tried yet, which
    `reason` says in words.
    """

    code: str | None
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Question:
    """In which account is asked, and of which agencies the person may be told; None for all."""

    session: AnySession
    account_id: int
    account: str
    host: HostAdapter
    agencies: frozenset[str] | None = None

    def sees(self, agencies: Iterable[str]) -> bool:
        """Tell whether the person may see what belongs to some agencies."""
        return self.agencies is None or not self.agencies.isdisjoint(agencies)
