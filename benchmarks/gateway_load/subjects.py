"""The measured gateways: Obscura, as this checkout or another one has it, and the fake upstream before all of them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway_load.images import Images
from benchmarks.gateway_load.processes import free_port, listens_on, running
from benchmarks.gateway_load.requests import Target

UPSTREAM = "upstream alone"
OBSCURA = "Obscura"
BEFORE = "Obscura before"


@dataclass(frozen=True, slots=True)
class Subject:
    """One measured process; ``pid`` is None for a gateway that the benchmark did not start."""

    name: str
    target: Target
    pid: int | None = None
    version: str = ""

    @property
    def origin(self) -> str:
        """The base URL without ``/v1``."""
        return self.target.base_url.removesuffix("/v1")


@contextmanager
def fake_upstream(images: Images, scratch: Path, port: int | None = None) -> Iterator[Subject]:
    """Run the upstream, which is the image host too; on any free port unless one is given."""
    port = port or free_port()
    module = "benchmarks.gateway_load.fake_upstream"
    command: list[str | Path] = [sys.executable, "-m", module, str(port), images.small, images.large]
    with running(command, ready=listens_on(port), log=scratch / "upstream.log") as pid:
        yield Subject(UPSTREAM, Target(f"http://127.0.0.1:{port}/v1"), pid)


def obscura_settings(upstream: Subject, data_dir: Path) -> dict[str, str]:
    """Return Obscura's environment: this upstream and image host, no moderation, and a rate beyond reach."""
    return {
        "OBSCURA_UPSTREAM_URL": upstream.target.base_url,
        "OBSCURA_MODERATION": "off",
        "OBSCURA_FETCH_ALLOW": upstream.origin,
        "OBSCURA_DATA_DIR": str(data_dir),
        "OBSCURA_KEY_REQUESTS_PER_MINUTE": "100000000",
    }


def obscura_key(settings: Mapping[str, str]) -> str:
    """Create a key in the data directory that the settings name."""
    created = subprocess.run(
        [sys.executable, "-m", "obscura.cli", "keys", "create", "--project", "benchmark"],
        env=os.environ | dict(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if created.returncode:
        raise RuntimeError(f"obscura keys create failed: {created.stderr[-1500:]}")
    return created.stdout.split()[-1]


@contextmanager
def obscura(upstream: Subject, scratch: Path, checkout: Path | None = None) -> Iterator[Subject]:
    """Run ``obscura serve`` in one process with a key of its own; of another checkout, with this one's libraries."""
    name = BEFORE if checkout else OBSCURA
    settings = obscura_settings(upstream, scratch / name.replace(" ", "-"))
    if checkout:
        layers = checkout.resolve() / "layers"
        settings["PYTHONPATH"] = os.pathsep.join(str(layers / layer) for layer in ("imaging", "gateway"))
    key, port = obscura_key(settings), free_port()
    command: list[str | Path] = [sys.executable, "-m", "obscura.cli", "serve", "--host", "127.0.0.1", "--port"]
    log = scratch / f"{name}.log"
    with running([*command, str(port)], ready=listens_on(port), log=log, env=settings) as pid:
        headers = (("authorization", f"Bearer {key}"),)
        yield Subject(name, Target(f"http://127.0.0.1:{port}/v1", headers=headers), pid, _commit(checkout))


def _commit(checkout: Path | None) -> str:
    folder = checkout or Path(__file__).parents[2]
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    described = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return described.stdout.strip()
