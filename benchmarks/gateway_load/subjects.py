"""What is measured: a name, where it is asked, and the process whose memory counts. Starts the upstream and Obscura."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.processes import free_port, running
from benchmarks.gateway_load.requests import Target

UPSTREAM = "upstream alone"
OBSCURA = "obscura"


@dataclass(frozen=True, slots=True)
class Subject:
    """One column of the report; ``pid`` is None for a gateway that somebody else started."""

    name: str
    target: Target
    pid: int | None = None
    note: str = ""


@contextmanager
def fake_upstream(images: Images, scratch: Path, port: int | None = None) -> Iterator[Subject]:
    """Run the upstream, which is the image host too; on any free port unless one is given."""
    port = port or free_port()
    module = "benchmarks.gateway_load.fake_upstream"
    command: list[str | Path] = [sys.executable, "-m", module, str(port), images.small, images.large]
    with running(command, port=port, log=scratch / "upstream.log") as pid:
        yield Subject(UPSTREAM, Target(f"http://127.0.0.1:{port}/v1"), pid)


def obscura_settings(upstream: Subject, data_dir: Path) -> dict[str, str]:
    """Return Obscura's environment: this upstream and image host, no moderation, and a rate that nobody reaches."""
    origin = upstream.target.base_url.removesuffix("/v1")
    return {
        "OBSCURA_UPSTREAM_URL": upstream.target.base_url,
        "OBSCURA_MODERATION": "off",
        "OBSCURA_FETCH_ALLOW": origin,
        "OBSCURA_DATA_DIR": str(data_dir),
        "OBSCURA_KEY_REQUESTS_PER_MINUTE": "100000000",
    }


def obscura_key(settings: Mapping[str, str]) -> str:
    """Create a key in the data directory that the settings name."""
    made = subprocess.run(
        [_obscura(), "keys", "create", "--project", "bench"],
        env=os.environ | dict(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if made.returncode:
        raise RuntimeError(f"obscura keys create failed: {made.stderr[-1500:]}")
    return made.stdout.split()[-1]


@contextmanager
def obscura(upstream: Subject, scratch: Path) -> Iterator[Subject]:
    """Run Obscura as its users do, in one process, with a key of its own."""
    settings = obscura_settings(upstream, scratch / "obscura")
    key, port = obscura_key(settings), free_port()
    command: list[str | Path] = [_obscura(), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port=port, log=scratch / "obscura.log", env=settings) as pid:
        headers = (("authorization", f"Bearer {key}"),)
        yield Subject(OBSCURA, Target(f"http://127.0.0.1:{port}/v1", headers=headers), pid)


def _obscura() -> Path:
    return Path(sys.executable).with_name("obscura")
