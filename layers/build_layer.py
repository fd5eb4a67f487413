"""Builds one Lambda layer: its packages for Lambda's machine, our code, and bytecode for all of it.

On Lambda ``/opt`` is read-only, and zips lose the times that bytecode is checked by: without ``unchecked-hash`` every
cold start would compile again, which takes longer than all imports together.
"""

import argparse
import compileall
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
GLIBC_TAGS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Lambda's python3.13 runs on Amazon Linux 2023, whose glibc is 2.34."""

AWS_SERVICES_USED = ("dynamodb", "s3", "ssm", "sts")
UNUSED = (
    "**/tests",
    "**/__pycache__",
    "**/*.pyi",
    "**/*.dist-info/RECORD",
    "bin",
    "boto3/examples",
    "obscura/cli",
    *(f"PIL/_{module}.*.so" for module in ("avif", "imagingcms", "imagingft", "imagingtk")),
    *(f"pillow.libs/lib{library}-*" for library in ("avif", "brotli*", "freetype", "harfbuzz", "lcms2", "png16")),
)
"""Tests, type stubs, commands, what only a laptop runs, and of Pillow all that serves AVIF, fonts and colour profiles;
licences and the metadata that packages read of themselves stay."""


def main() -> None:
    """Build the layer that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layer", required=True)
    parser.add_argument("--architecture", required=True, choices=MACHINES)
    parser.add_argument("--into", required=True, type=Path)
    parser.add_argument("--limit-mb", required=True, type=int)
    options = parser.parse_args()
    source, packages = Path(options.layer), options.into / "python"
    install(source / "requirements.txt", packages, MACHINES[options.architecture])
    shutil.copytree(source / "obscura", packages / "obscura")
    if (source / "bin").is_dir():
        shutil.copytree(source / "bin", options.into / "bin")
    strip(packages)
    compile_bytecode(packages)
    measure(options.layer, packages, options.limit_mb)


def install(requirements: Path, into: Path, machine: str) -> None:
    """Install the locked requirements as wheels for ``machine``, whatever this one is."""
    platforms = [argument for tag in GLIBC_TAGS for argument in ("--platform", f"{tag}_{machine}")]
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.13",
        *platforms, "--target", str(into), "-r", str(requirements),
    ]  # fmt: skip
    subprocess.run(command, check=True)  # noqa: S603 our own words and paths


def strip(packages: Path) -> None:
    """Remove what no request ever reads, AWS's descriptions of services that Obscura does not call among it."""
    for pattern in UNUSED:
        for found in list(packages.glob(pattern)):
            _remove(found)
    descriptions = packages / "botocore" / "data"
    for service in descriptions.glob("*/"):
        if service.name not in AWS_SERVICES_USED:
            _remove(service)


def compile_bytecode(packages: Path) -> None:
    """Compile everything to bytecode that is believed without a look at its source, named as it will be on Lambda."""
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
    """Print what is large, and fail when the layer is over its limit (in MB of 10^6 bytes, unzipped)."""
    sizes = {entry.name: _size_mb(entry) for entry in packages.iterdir()}
    total = sum(sizes.values())
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:6]
    told = ", ".join(f"{name} {sizes[name]:.1f}" for name in largest)
    print(f"{layer} layer: {total:.1f} MB of {limit_mb} MB ({told})")
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
