"""The versions of the tools, as they are installed."""

import json
from pathlib import Path

from conformance.setting import BIN, MODULES


def python_version(package: str, bin_folder: Path = BIN) -> str:
    """Return the version of a package of ``uv.lock``; raises LookupError if it is not installed."""
    name = package.replace("-", "_")
    for folder in (bin_folder.parent / "lib").glob(f"python3*/site-packages/{name}-*.dist-info"):
        return folder.name.removesuffix(".dist-info").rpartition("-")[2]
    raise LookupError(f"{package} is not installed: run `make conformance`")


def npm_version(package: str) -> str:
    """Return the version of a package of ``package-lock.json``."""
    version: str = json.loads((MODULES / package / "package.json").read_text())["version"]
    return version
