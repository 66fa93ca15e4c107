"""The list of faults names every one of them, each with tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| ([PRDV]-\d\d) \| .* \| (.*) \|$", (ROOT / "docs/faults.md").read_text(), re.M
)
COUNTS = {"P": 12, "R": 8, "D": 15, "V": 25}


def test_every_fault_has_its_row() -> None:
    wanted = [f"{area}-{n:02}" for area, count in COUNTS.items() for n in range(1, count + 1)]
    assert [name for name, _ in ROWS] == wanted


@pytest.mark.parametrize(("fault", "tests"), ROWS)
def test_a_fault_is_played_by_a_test_that_is_there(fault: str, tests: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
    assert named, fault
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
