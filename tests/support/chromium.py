"""Chromium and axe-core, as ``tests/browser/node/package-lock.json`` pins them: from npm, without apt (ADR 110)."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Playwright

NODE = Path(__file__).parent.parent / "browser" / "node"
LOCK = NODE / "package-lock.json"
AXE = NODE / "node_modules" / "axe-core" / "axe.min.js"
UNPACKED = NODE / "node_modules" / ".chromium"
INSTALL_TIMEOUT_S = 300

ARGUMENTS = (
    "--no-sandbox",  # its sandbox refuses to run as root, and containers have no user namespaces
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # 64 MB in a container
    "--font-render-hinting=none",
)


async def launch_chromium(playwright: Playwright) -> Browser:
    """Start Chromium, installed on the way. ``CHROMIUM`` names another one, for what is not Linux on x86_64."""
    if elsewhere := os.environ.get("CHROMIUM"):
        return await playwright.chromium.launch(executable_path=elsewhere)
    install()
    variables: dict[str, str | float | bool] = {
        "PATH": os.environ["PATH"],
        "HOME": str(UNPACKED),
        "FONTCONFIG_PATH": str(UNPACKED / "fonts"),
        "LD_LIBRARY_PATH": str(UNPACKED / "al2023" / "lib"),
    }
    return await playwright.chromium.launch(
        executable_path=UNPACKED / "chromium", env=variables, args=list(ARGUMENTS), chromium_sandbox=False
    )


def install() -> None:
    """Install what the lock file pins and unpack it, unless it is there; one process at a time."""
    with _locked():
        installed = NODE / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < LOCK.stat().st_mtime:
            _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            installed.touch()
        if UNPACKED.exists():
            return
        unpacking = UNPACKED.with_suffix(".unpacking")
        shutil.rmtree(unpacking, ignore_errors=True)
        unpacking.mkdir()
        _run("node", "unpack.mjs", TMPDIR=str(unpacking))
        unpacking.rename(UNPACKED)


@contextmanager
def _locked() -> Iterator[None]:
    with LOCK.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _run(command: str, *arguments: str, **variables: str) -> None:
    """Run npm or node of the dev dependencies, which stand beside Python."""
    beside_python = Path(sys.executable).parent
    environment = os.environ | variables | {"PATH": f"{beside_python}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.run(
        [beside_python / command, *arguments],
        cwd=NODE, env=environment, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr


if __name__ == "__main__":
    install()
