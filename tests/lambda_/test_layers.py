"""The layers as ``sam build`` makes them, and how they are installed."""

import marshal
import os
import shutil
import subprocess
import venv
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from rehearsal.layout import BUILT
from rehearsal.stack import ROOT

HEIC = BUILT / "HeicDecoderLayer"
POLICY = BUILT / "PolicyLayer"
LAYERS = (BUILT / "GatewayLayer", BUILT / "ImagingLayer", BUILT / "DocumentsLayer", HEIC, POLICY)
MAX_BYTES = 94_000_000
UNCHECKED_HASH = (1).to_bytes(4, "little")


def files() -> list[Path]:
    return [path for layer in LAYERS for path in layer.rglob("*") if path.is_file()]


def test_together_they_stay_under_94_mb_unzipped() -> None:
    size = sum(path.stat().st_size for path in files())

    assert 10_000_000 < size < MAX_BYTES


def test_every_module_has_bytecode_that_is_used_without_its_source() -> None:
    sources = [path for path in files() if path.suffix == ".py"]

    for source in sources:
        code = (source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc").read_bytes()
        assert code[:8] == MAGIC_NUMBER + UNCHECKED_HASH, source


def test_tracebacks_have_the_paths_on_lambda() -> None:
    compiled = BUILT / "GatewayLayer/python/obscura/__pycache__"
    [code] = [path.read_bytes() for path in compiled.glob("settings.*.pyc")]

    assert marshal.loads(code[16:]).co_filename == "/opt/python/obscura/settings.py"  # noqa: S302 our own build


@pytest.mark.parametrize("unwanted", ["tests", "uvloop", "uvicorn", "typer", "rich", "pip"])
def test_packages_that_lambda_never_runs_are_left_out(unwanted: str) -> None:
    packages = {path.name for layer in LAYERS for path in (layer / "python").rglob("*") if path.is_dir()}

    assert unwanted not in packages


def test_two_layers_share_the_obscura_namespace_and_none_a_file_with_another() -> None:
    gateway, imaging, documents = (
        {path.relative_to(layer) for path in layer.rglob("*") if path.is_file()} for layer in LAYERS[:3]
    )

    assert gateway & imaging == gateway & documents == imaging & documents == set()
    assert Path("python/pypdfium2_raw/libpdfium.so") in documents
    assert Path("python/obscura/imaging/__init__.py") in imaging


def test_the_heic_layer_has_its_decoder_alone() -> None:
    packages = {path.name.split("-")[0].split(".")[0] for path in (HEIC / "python").iterdir()}

    assert packages == {"pi_heif", "_pi_heif"}
    assert not any(path.name.startswith("_pi_heif") for layer in LAYERS[:2] for path in (layer / "python").iterdir())


def test_the_policy_layer_has_its_regular_expressions_and_its_reader_of_codes_alone() -> None:
    packages = {path.name.split("-")[0].split(".")[0] for path in (POLICY / "python").iterdir()}

    assert packages == {"re2", "google_re2", "zxingcpp", "zxing_cpp"}


def test_the_exec_wrapper_can_be_executed() -> None:
    wrapper = BUILT / "GatewayLayer/bin/obscura-runtime"

    assert os.access(wrapper, os.X_OK)


@pytest.fixture
def python_without_pip(tmp_path: Path) -> Path:
    """The folder of a python3.13 without pip."""
    venv.create(tmp_path / "venv", with_pip=False)
    return tmp_path / "venv" / "bin"


def build_imaging_layer(layers: Path, artifacts: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Build a layer as ``sam build`` does, with this PATH."""
    environment = {"PATH": path, "ARTIFACTS_DIR": str(artifacts), "ARCHITECTURE": "x86_64"}
    command = [str(shutil.which("make")), "--no-print-directory", "build-ImagingLayer"]
    return subprocess.run(command, cwd=layers, env=environment, capture_output=True, text=True, check=False)


def test_without_uv_and_pip_the_build_says_how_to_get_one(tmp_path: Path, python_without_pip: Path) -> None:
    process = build_imaging_layer(ROOT / "layers", tmp_path / "layer", str(python_without_pip))

    assert process.returncode == 2
    assert "Install uv (https://docs.astral.sh/uv" in process.stderr
    assert f"{python_without_pip}/python3.13 -m ensurepip" in process.stderr
    assert "Traceback" not in process.stderr


def test_without_python_the_build_says_how_to_get_it(tmp_path: Path) -> None:
    process = build_imaging_layer(ROOT / "layers", tmp_path / "layer", str(tmp_path))

    assert process.returncode == 2
    assert "uv python install 3.13" in process.stderr


@pytest.mark.parametrize("folder", [".uv/bin", "elsewhere"], ids=["of make", "on PATH"])
def test_uv_is_used_if_it_is_there(tmp_path: Path, python_without_pip: Path, folder: str) -> None:
    uv = tmp_path / folder / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\necho "$@" >&2; exit 3\n')
    uv.chmod(0o755)
    path = [str(python_without_pip), *([str(uv.parent)] if folder == "elsewhere" else [])]

    process = build_imaging_layer(ROOT / "layers", tmp_path / ".aws-sam" / "layer", ":".join(path))

    installs = next(line for line in process.stderr.splitlines() if line.startswith("pip install"))
    for argument in ("--require-hashes", "--python-platform x86_64-manylinux_2_34", "-r imaging/requirements.txt"):
        assert argument in installs
