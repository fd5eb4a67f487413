"""Benchmarks are run by hand: at least each must import and explain itself with the code as it is."""

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gateway_load.measure import QUICK, Figures, LinkFigures
from benchmarks.gateway_load.page import BEGIN, END, Run, write_page
from benchmarks.gateway_load.subjects import OBSCURA, UPSTREAM
from benchmarks.structure import modules_with_one_importer

REPOSITORY = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (REPOSITORY / "benchmarks").glob("[!_]*.py") if "argparse" in path.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])

    with pytest.raises(SystemExit) as exit_info:
        importlib.import_module(f"benchmarks.{name}").main()

    assert exit_info.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_figures_replace_those_of_the_run_before(tmp_path: Path) -> None:
    page = Path(shutil.copy(REPOSITORY / "docs" / "benchmark.md", tmp_path))
    figures = Figures("text", OBSCURA, added_ms=1.234, cpu_ms=0.75, requests_per_s=1234.5, relayed_bytes=386)
    load = [replace(figures, subject=UPSTREAM), figures, Figures("sse", OBSCURA, error="status 500")]
    links = [LinkFigures("10mb", OBSCURA, 100, 0.204), LinkFigures("10mb", UPSTREAM, 100, 1.077)]
    run = Run("2 cores", "two JPEGs", QUICK, {UPSTREAM: "", OBSCURA: "abc1234"}, load, links)

    write_page(replace(run, machine="64 cores"), page)
    write_page(run, page)

    text = page.read_text()
    assert (text.count(BEGIN), text.count(END), "64 cores" in text) == (1, 1, False)
    assert "| Obscura | +1.23 | error | error |" in text
    assert "| Obscura | 0.75 | error |" in text
    assert "| Obscura | 0.20 |" in text
    assert "- Obscura, SSE: status 500" in text


def test_importers_are_counted_through_packages_and_registries(tmp_path: Path) -> None:
    package = tmp_path / "layers" / "gateway" / "obscura" / "codec"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from obscura.codec.used import decode as decode\n")
    (package / "used.py").write_text("def decode() -> None: ...\n")
    (package / "listed.py").write_text("")
    (package / "shared.py").write_text("")
    (package / "reader.py").write_text(
        'from obscura.codec import decode, shared\nREADERS = {"x": "obscura.codec.listed"}\n'
    )
    (package / "writer.py").write_text("import obscura.codec.shared\n")

    assert modules_with_one_importer(tmp_path) == ["obscura.codec.used ← obscura.codec.reader"]
