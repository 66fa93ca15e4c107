"""Round after round: people change something, faults rain, all comes to rest and is checked.

A seed says what happens in which round; how it falls into a run is the machine's.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from demo.data import World
from tests.canonical import canonical, differences, sha256
from tests.chaos import people
from tests.chaos.faults import KILLS, OTHERS, Fault
from tests.chaos.people import Therapists
from tests.chaos.scene import Scene, scene
from tests.chaos.twin import Twin, twin
from tests.servers import Postgres
from tests.watch import Watch

#: Faults of a round, which hit two accounts: a run that died five times has failed, which is rarely
#: what is tried here.
MOST_A_ROUND = 6
Say = Callable[[str], None]


@dataclass
class Tally:
    """What came of it all."""

    faults: int = 0
    kills: int = 0
    violations: list[str] = field(default_factory=list)
    takeovers: int = 0
    rounds: int = 0
    by_name: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """Return the one line at the end."""
        violations = len(self.violations)
        return f"faults={self.faults} takeovers={self.takeovers} violations={violations}"


@dataclass
class Chaos:
    """One scene under rain, with its twin in the dry."""

    scene: Scene
    twin: Twin
    watch: Watch
    therapists: Therapists
    seed: int
    say: Say
    kills_only: bool = False
    tally: Tally = field(default_factory=Tally)

    def begin(self) -> None:
        """Start the machines and let the first pull go undisturbed."""
        for _ in range(2):
            self.scene.start_machine()
        self._settle("at the beginning")

    def round(self, faults: int) -> None:
        """Do one round of so many faults."""
        self.tally.rounds += 1
        began = time.monotonic()
        number = self.tally.rounds
        rng = random.Random(f"{self.seed} {number}")
        changes = [self.therapists.change(rng) for _ in range(rng.randrange(2, 5))]
        changes += self._person(rng)
        told = []
        for _ in range(faults):
            name, fault = self._choose(rng)
            if self._inject(name, fault, rng, number):
                told.append(name)
        before = len(self.tally.violations)
        self._settle(f"round {number} (seed {self.seed}: {', '.join(told)})")
        outcome = "ok" if len(self.tally.violations) == before else "VIOLATED"
        seconds = f"{time.monotonic() - began:.1f} s"
        self.say(f"round {number}: {', '.join(changes)}; {', '.join(told)}: {outcome}, {seconds}")

    def _choose(self, rng: random.Random) -> tuple[str, Fault]:
        # Half are kills, and half of those at a point.
        kills = list(KILLS.items())
        if self.kills_only or rng.random() < 0.5:
            return kills[0] if rng.random() < 0.5 else rng.choice(kills)
        others = [
            (name, fault)
            for name, fault in OTHERS.items()
            if self.scene.postgres is not None or name not in ("postgres_restart", "backend_killed")
        ]
        return rng.choice(others)

    def _inject(self, name: str, fault: Fault, rng: random.Random, number: int) -> bool:
        try:
            happened = fault(self.scene, rng)
        except AssertionError as error:
            self._violated(f"round {number} ({name}): {error}")
            happened = True
        if happened:
            self.tally.faults += 1
            self.tally.kills += name in KILLS
            self.tally.by_name[name] = self.tally.by_name.get(name, 0) + 1
        self._look(f"round {number} amid {name}")
        return happened

    def _person(self, rng: random.Random) -> list[str]:
        wished = people.wish(self.scene.site.app, rng)
        if wished is None:
            return []
        answers = [people.grant(app, wished) for app in (self.scene.site.app, self.twin.app)]
        for status, page in answers:
            people.check_page(status, page)
        if answers[0][0] != answers[1][0]:
            self._violated(f"{wished} was answered {answers[0][0]}, at the twin {answers[1][0]}")
        return [f"{wished.verb} {wished.kind.name}"]

    def _look(self, where: str) -> None:
        """Look at what always holds, unless the database is away just now."""
        try:
            found = self.watch.always()
        except DBAPIError:
            return
        for wrong in found:
            self._violated(f"{where}: {wrong}")

    def _settle(self, where: str) -> None:
        self.scene.calm()
        found = self.scene.rest()
        if not found:
            found = self.watch.at_rest()
            self.twin.run()
            found += self._compare()
        for wrong in found:
            self._violated(f"{where}: {wrong}")
        self.tally.takeovers = sum(max(run.fence - 1, 0) for run in self.scene.site.runs())

    def _compare(self) -> list[str]:
        """Compare with the twin (I-28); one more pull each where it differs, as refusals are tried
        again at each.
        """
        for attempt in (1, 2):
            with self.scene.site.app.app_context():
                state = self.scene.site.state
                ours = canonical(state.engine, state.sealer)
            theirs = self.twin.told()
            if sha256(ours) == sha256(theirs):
                return []
            if attempt == 1:
                self.twin.run()
                found = self.scene.rest()
                if found:
                    return found
        return [f"I-28: {line}" for line in differences(ours, theirs)]

    def _violated(self, words: str) -> None:
        self.tally.violations.append(words)
        self.say(f"VIOLATION {words}")


@contextmanager
def chaos(
    folder: Path,
    world: World,
    postgres: Postgres | None,
    *,
    seed: int,
    say: Say,
    kills_only: bool = False,
) -> Iterator[Chaos]:
    """Set the scene and its twin up; the first pull has been checked."""
    workers = 1 if kills_only else 2
    with (
        scene(folder, world, postgres, workers=workers) as made,
        twin(folder, world, made.site.vendor) as dry,
    ):
        engine = made.site.state.engine
        watch = Watch(engine, folder / "vendor.db", patience=30)
        therapists = Therapists(made.site.vendor, world)
        rain = Chaos(made, dry, watch, therapists, seed, say, kills_only)
        try:
            rain.begin()
            yield rain
        except BaseException:
            say(f"worker log:\n{made.site.log()[-4000:]}")
            say(traceback.format_exc())
            raise


def rain(chaos: Chaos, kills: int) -> Tally:
    """Do rounds until so many processes were killed, with other faults among them; give up where
    hardly anything happens.
    """
    while chaos.tally.kills < kills and chaos.tally.rounds < 20 + kills:
        chaos.round(MOST_A_ROUND)
    return chaos.tally
