"""`python -m demo --once` as a real process: the whole job, again, and on the wrong folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo import once
from demo.redis_server import free_port
from tests.meddling import Meddled

ROOT = Path(__file__).parents[1]


def demo(folder: Path, notes: int | str = 200, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", "--notes", str(notes), "--data", str(folder)]
    return subprocess.run(
        [*command, *(options or ("--once",))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def processes(folder: Path) -> list[str]:
    """The command lines of this machine's processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
        if str(folder) in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder: Path) -> subprocess.CompletedProcess[str]:
    return demo(folder)


def test_the_first_run_does_the_whole_job(first: subprocess.CompletedProcess[str]) -> None:
    assert (first.returncode, first.stderr) == (0, "")
    bright, harbor = first.stdout.split("\nbright-steps: ")[1].split("\nharbor-kids: ")
    for told in (bright, harbor):
        seconds, head, *rows = told.splitlines()
        assert [word.split()[0] for word in seconds.split(", ")] == ["pull", "automap", "render"]
        assert " ".join(head.split()) == "pulled auto user ignored to map rendered refused"
        kinds = [row[:14].strip() for row in rows[:4]]
        assert kinds == ["Sites", "Students", "Users", "Session notes"]
        _pulled, auto, _user, _ignored, _open, rendered, refused = map(int, rows[3][14:].split())
        assert auto == rendered + refused
        assert rendered > 0
        assert refused > 0
        assert "Session notes, to map: no client mapping " in told
        assert "Session notes, refused: " in told
        assert rows[-1].endswith(" changes.")


def test_the_second_run_changes_nothing_and_says_so(
    first: subprocess.CompletedProcess[str], folder: Path
) -> None:
    second = demo(folder)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.count("Nothing changed.") == 2
    tables = [
        [line for line in run.stdout.splitlines() if line.startswith(("Si", "St", "Us", "Se"))]
        for run in (first, second)
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) > 8


def test_a_world_of_another_size_is_told(
    first: subprocess.CompletedProcess[str], folder: Path
) -> None:
    other = demo(folder, notes=300)
    assert other.returncode == 1
    assert other.stderr == (
        f"make demo failed: {folder} holds a world of 200 session notes, not of 300. "
        "Remove that folder, or name another one with DATA=...\n"
    )


def test_a_world_that_is_too_small_is_told(tmp_path: Path) -> None:
    small = demo(tmp_path, notes=10)
    assert small.returncode == 2
    assert small.stderr.startswith("A world has 100 session notes at least")
    assert "Traceback" not in small.stderr


def test_a_wrong_size_and_a_folder_that_is_none_are_told(tmp_path: Path) -> None:
    wrong = demo(tmp_path, notes="many")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("argument --notes: 'many' is no whole number\n")
    (tmp_path / "file").write_text("")
    for options in ((), ("--port", str(free_port()))):
        none = demo(tmp_path / "file", 100, *options)
        assert none.returncode == 1
        assert none.stderr.startswith(f"make demo failed: {tmp_path / 'file'} cannot hold the demo")
        assert "Traceback" not in none.stderr


def test_an_appointment_that_the_host_raises_for_fails_it_after_all_else_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def fail_the_first(appointment_id: int) -> None:
        asked.append(appointment_id)
        if appointment_id == asked[0]:
            raise ZeroDivisionError

    monkeypatch.setattr(once, "DemoHost", lambda: Meddled(before=fail_the_first))
    assert once.run_once(tmp_path, notes=100) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"make demo failed: bright-steps, appointment {asked[0]}: ")
    assert said.err.count("\n") == 1
    assert "\nharbor-kids: pull" in said.out
    # The next one asks again, and the host is well.
    monkeypatch.undo()
    assert once.run_once(tmp_path, notes=100) == 0


def test_a_vendor_that_fails_fails_it_and_a_record_that_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules: list[dict[str, Any]] = [{"match": {"feed": "users"}, "fault": "html", "times": None}]
    well = once.emulator_of

    @contextmanager
    def ill(folder: Path, notes: int, vendor_port: int) -> Iterator[str]:
        with well(folder, notes, vendor_port) as address, httpx2.Client(trust_env=False) as http:
            assert http.put(f"{address}/_emulator/scenario", json=rules).status_code == 204
            yield address

    monkeypatch.setattr(once, "emulator_of", ill)
    assert once.run_once(tmp_path, notes=100) == 1
    assert capsys.readouterr().err.startswith("make demo failed: ")
    rules[0] |= {"match": {"feed": "students"}, "fault": "missing_member"}
    assert once.run_once(tmp_path, notes=100) == 0
    assert "\nStudents, set aside: 1\n" in capsys.readouterr().out


def test_ctrl_c_ends_it_in_words_and_the_next_one_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "demo", "--once", "--notes", "100"]
    command += ["--data", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline().startswith("Made a world of 100 session notes")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "\nThe demo ends; the next one goes on with the same data.\n"
    assert processes(tmp_path) == []
    assert demo(tmp_path, notes=100).returncode == 0


def test_no_process_is_left_behind(first: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert first.returncode == 0
    assert processes(folder) == []
