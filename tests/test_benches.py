"""The benches make their worlds, measure, and find what they measured correct."""

from __future__ import annotations

import pytest

from bench.__main__ import main


@pytest.mark.parametrize("bench", ["automap", "idle"])
def test_a_bench_finds_its_result_correct(bench: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([bench, "--notes", "1000"]) == 0
    assert f'{{"bench": "{bench}"' in capsys.readouterr().out
