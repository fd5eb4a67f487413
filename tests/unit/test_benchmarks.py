"""Benchmarks are run by hand: at least they must stand on the code as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RUN_BY_HAND = sorted(
    path.stem for path in (REPOSITORY / "benchmarks").glob("[!_]*.py") if "argparse" in path.read_text()
)


@pytest.mark.parametrize("name", RUN_BY_HAND)
def test_a_benchmark_explains_itself(name: str) -> None:
    response = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=50,
        check=False,
    )

    assert response.returncode == 0, response.stderr.decode()
