"""Build one Lambda layer: its packages for Lambda's processor, our code, and bytecode for all of it.

On Lambda ``/opt`` is read-only, and zip files lose the times that bytecode is validated by: without ``unchecked-hash``
every cold start would compile again, which takes longer than all imports together (ADR 43).
"""

import argparse
import compileall
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC_TAGS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Lambda's python3.13 runs on Amazon Linux 2023, whose glibc is 2.34."""

AWS_SERVICES_USED = ("dynamodb", "s3", "ssm", "sts")
INSTALLER_MISSING = f"""\
Layers are installed with uv or with pip, and neither is here: uv is not on PATH, and {sys.executable} has no pip.
Install uv (https://docs.astral.sh/uv/getting-started/installation/), or add pip: {sys.executable} -m ensurepip
"""

UNUSED = (
    ".lock",
    "**/tests",
    "**/__pycache__",
    "**/*.pyi",
    "**/*.dist-info/RECORD",
    "bin",
    "boto3/examples",
    "obscura/cli",
    "pypdfium2",
    "pypdfium2_cfg",
    "pypdfium2_cli",
    "pypdfium2_raw/bindings.py",
    *(f"PIL/_{module}.*.so" for module in ("imagingft", "imagingtk")),
    *(f"pillow.libs/lib{library}-*" for library in ("brotli*", "freetype", "harfbuzz", "png16")),
)
"""Tests, type stubs, commands, the command line, Pillow's parts for fonts, and of pypdfium2 all but the library, which
the child process loads; licences and the metadata that packages read of themselves stay."""


def main() -> None:
    """Build the layer that the command line names; the exit status is 2 if neither uv nor pip is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layer", required=True)
    parser.add_argument("--architecture", required=True, choices=MACHINES)
    parser.add_argument("--into", required=True, type=Path)
    parser.add_argument("--limit-mb", required=True, type=int)
    options = parser.parse_args()
    source, packages = Path(options.layer), options.into / "python"
    command = install_command(options.into, MACHINES[options.architecture])
    if command is None:
        sys.stderr.write(INSTALLER_MISSING)
        sys.exit(2)
    command += ["--target", str(packages), "-r", str(source / "requirements.txt")]
    subprocess.run(command, check=True)  # noqa: S603 our own arguments and paths
    for folder, target in (("obscura", packages / "obscura"), ("bin", options.into / "bin")):
        if (source / folder).is_dir():
            shutil.copytree(source / folder, target)
    strip(packages)
    compile_bytecode(packages)
    measure(options.layer, packages, options.limit_mb)


def install_command(into: Path, machine: str) -> list[str] | None:
    """Return the command that installs locked requirements as wheels for ``machine``, by uv or else by pip.

    None if neither is there.
    """
    if uv := find_uv(into):
        platform = f"{machine}-{GLIBC_TAGS[0]}"
        return [
            uv, "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy",
            "--require-hashes", "--no-deps", "--only-binary", ":all:",
            "--python-version", "3.13", "--python-platform", platform,
        ]  # fmt: skip
    if importlib.util.find_spec("pip"):
        platforms = [argument for tag in GLIBC_TAGS for argument in ("--platform", f"{tag}_{machine}")]
        return [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
            "--require-hashes", "--no-deps", "--only-binary=:all:",
            "--implementation", "cp", "--python-version", "3.13", *platforms,
        ]  # fmt: skip
    return None


def find_uv(into: Path) -> str | None:
    """Return the uv on PATH, or the one that `make` installed into ``.uv`` of the project that ``into`` lies in."""
    installed = (folder / ".uv" / "bin" / "uv" for folder in into.resolve().parents)
    return shutil.which("uv") or next((str(uv) for uv in installed if uv.is_file()), None)


def strip(packages: Path) -> None:
    """Remove what no request ever reads, such as boto's descriptions of services that Obscura does not call."""
    for pattern in UNUSED:
        for unused in list(packages.glob(pattern)):
            _remove(unused)
    descriptions = packages / "botocore" / "data"
    for service in descriptions.glob("*/"):
        if service.name not in AWS_SERVICES_USED:
            _remove(service)


def compile_bytecode(packages: Path) -> None:
    """Compile everything to bytecode that is used without a check of its source, with its paths on Lambda."""
    compiled = compileall.compile_dir(
        packages,
        quiet=1,
        workers=0,
        stripdir=str(packages),
        prependdir="/opt/python",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        sys.exit("Some source could not be compiled.")


def measure(layer: str, packages: Path, limit_mb: int) -> None:
    """Print the size and the largest packages; fail if the layer is over its limit (in MB of 10^6 bytes, unzipped)."""
    sizes = {entry.name: _size_mb(entry) for entry in packages.iterdir()}
    total = sum(sizes.values())
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:6]
    listed = ", ".join(f"{name} {sizes[name]:.1f}" for name in largest)
    print(f"{layer} layer: {total:.1f} MB of {limit_mb} MB ({listed})")
    if total > limit_mb:
        sys.exit(f"The {layer} layer is over its limit of {limit_mb} MB.")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [inside for inside in path.rglob("*") if inside.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
