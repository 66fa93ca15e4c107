"""The benches make their worlds, measure, and find what they measured correct."""

from __future__ import annotations

import pytest

from bench.__main__ import main

#: Bench -> its smallest size.
SIZES = {
    "automap": "1000",
    "explain": "1000",
    "idle": "1000",
    "pull": "300",
    "render": "40",
    "report": "200",
}


@pytest.mark.parametrize(("bench", "size"), SIZES.items())
def test_a_bench_finds_its_result_correct(
    bench: str, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([bench, "--rows" if bench == "report" else "--notes", size]) == 0
    assert f'{{"bench": "{bench}' in capsys.readouterr().out
