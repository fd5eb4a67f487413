"""The layers as ``sam build`` makes them."""

import marshal
import os
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from rehearsal.layout import BUILT

LAYERS = (BUILT / "GatewayLayer", BUILT / "ImagingLayer")
MOST_BYTES = 75_000_000
UNCHECKED_HASH = (1).to_bytes(4, "little")


def files() -> list[Path]:
    return [path for layer in LAYERS for path in layer.rglob("*") if path.is_file()]


def test_together_they_stay_under_75_mb_unzipped():
    size = sum(path.stat().st_size for path in files())

    assert 10_000_000 < size < MOST_BYTES


def test_every_module_comes_with_bytecode_that_is_believed_without_a_look_at_its_source():
    sources = [path for path in files() if path.suffix == ".py"]

    for source in sources:
        code = (source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc").read_bytes()
        assert code[:8] == MAGIC_NUMBER + UNCHECKED_HASH, source


def test_tracebacks_name_the_place_on_lambda():
    compiled = BUILT / "GatewayLayer/python/obscura/__pycache__"
    [code] = [path.read_bytes() for path in compiled.glob("config.*.pyc")]

    assert marshal.loads(code[16:]).co_filename == "/opt/python/obscura/config.py"  # noqa: S302 our own build


@pytest.mark.parametrize("unwanted", ["tests", "uvloop", "uvicorn", "typer", "rich", "pip"])
def test_what_lambda_never_runs_stays_behind(unwanted):
    packages = {path.name for layer in LAYERS for path in (layer / "python").rglob("*") if path.is_dir()}

    assert unwanted not in packages


def test_both_layers_share_the_obscura_namespace_without_a_file_in_common():
    gateway, imaging = ({path.relative_to(layer) for path in layer.rglob("*") if path.is_file()} for layer in LAYERS)

    assert gateway & imaging == set()
    assert Path("python/obscura/imaging/__init__.py") in imaging


def test_the_exec_wrapper_can_be_executed():
    wrapper = BUILT / "GatewayLayer/bin/obscura-runtime"

    assert os.access(wrapper, os.X_OK)
