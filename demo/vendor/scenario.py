"""Scenarios, which request meets which fault; and the journal of what was requested."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Members of a rule's `match`, and what they are compared with.
MATCHES = ("method", "path", "feed", "organization", "cursor", "nth")
FEED_PATHS = {f"/v1/{feed}": feed for feed in ("sites", "students", "users", "session-notes")}


class BadScenario(ValueError):
    """A rule that cannot be played; the message says which and why."""


@dataclass(frozen=True)
class Asked:
    """What a rule can look at in a request."""

    method: str
    path: str
    organization: str | None = None
    cursor: str | None = None

    @property
    def feed(self) -> str | None:
        """The feed that is read, or None."""
        return FEED_PATHS.get(self.path) if self.method == "GET" else None


@dataclass(frozen=True)
class Turn:
    """A fault that a request meets. `memory` is the rule's; `released` is set when it ends."""

    fault: str
    args: Mapping[str, Any]
    memory: list[str]
    released: threading.Event


@dataclass
class Rule:
    """`{match, fault, times, args}`: the first `times` requests that match meet the fault.

    match   method, path (exact), feed, organization: equal; cursor: its text, or true or false for
            whether there is one; nth: only the nth request (from 1) that matches the rest
    times   null: as long as the scenario lasts
    """

    match: dict[str, Any]
    fault: str
    times: int | None
    args: dict[str, Any]
    seen: int = 0
    memory: list[str] = field(default_factory=list)

    def matches(self, asked: Asked, feeds_only: bool) -> bool:
        """Whether the rule is about this request, its count aside."""
        if feeds_only and asked.feed is None:
            return False
        given = dict(self.match)
        given.pop("nth", None)
        cursor = given.pop("cursor", None)
        if isinstance(cursor, bool) and cursor != (asked.cursor is not None):
            return False
        if isinstance(cursor, str) and cursor != asked.cursor:
            return False
        return all(getattr(asked, name) == value for name, value in given.items())

    def fires(self) -> bool:
        """Whether the request that was counted last meets the fault; uses up one of `times`."""
        if self.match.get("nth", self.seen) != self.seen or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Scenario:
    """The rules that are being played, for all threads. `catalogue`: the faults by name."""

    def __init__(self, catalogue: Mapping[str, Callable[..., Any]], page_faults: frozenset[str]):
        self._catalogue, self._page_faults = catalogue, page_faults
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._released = threading.Event()

    def play(self, rules: list[dict[str, Any]]) -> None:
        """Play these rules from now on, in place of those before. Raises BadScenario."""
        if not isinstance(rules, list):
            raise BadScenario("a scenario is a list of rules")
        made = [self._rule(number, given) for number, given in enumerate(rules, 1)]
        with self._lock:
            self._released.set()
            self._released, self._rules = threading.Event(), made

    def clear(self) -> None:
        """No more faults; what hangs or drips goes on at once."""
        self.play([])

    def take(self, asked: Asked) -> Turn | None:
        """The fault of the first rule that fires; every rule that matches counts the request."""
        with self._lock:
            matching = [
                rule for rule in self._rules if rule.matches(asked, rule.fault in self._page_faults)
            ]
            for rule in matching:
                rule.seen += 1
            for rule in matching:
                if rule.fires():
                    return Turn(rule.fault, rule.args, rule.memory, self._released)
        return None

    def _rule(self, number: int, given: dict[str, Any]) -> Rule:
        where = f"rule {number}"
        if not isinstance(given, dict) or given.keys() - {"match", "fault", "times", "args"}:
            raise BadScenario(f"{where} is an object of match, fault, times and args")
        match, args = given.get("match", {}), given.get("args", {})
        times = given.get("times")
        if not isinstance(match, dict) or match.keys() - set(MATCHES):
            raise BadScenario(f"{where}: match is an object of {', '.join(MATCHES)}")
        if times is not None and (type(times) is not int or times < 0):
            raise BadScenario(f"{where}: times is a whole number or null")
        fault = str(given.get("fault"))
        if fault not in self._catalogue:
            raise BadScenario(f"{where}: the faults are {', '.join(sorted(self._catalogue))}")
        try:
            inspect.signature(self._catalogue[fault]).bind(None, **args)
        except TypeError as error:
            raise BadScenario(f"{where}: args of {fault}: {error}") from error
        return Rule(match, fault, times, args)


class Journal:
    """Every request to the API in the order of its answer: no bodies, no credentials."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []

    def write(self, asked: Asked, query: str, status: int | None, fault: str | None) -> None:
        """Add a request; `status` is None where no answer was sent."""
        entry = {"method": asked.method, "path": asked.path, "query": query}
        with self._lock:
            self._entries.append({**entry, "status": status, "fault": fault})

    def entries(self) -> list[dict[str, Any]]:
        """A copy: `{method, path, query, status, fault}` for each request."""
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
