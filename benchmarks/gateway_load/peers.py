"""Other gateways to put beside Obscura: installed into a cache of their own, started in front of the same upstream."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.gateway_load.processes import free_port, running
from benchmarks.gateway_load.requests import Target
from benchmarks.gateway_load.subjects import Subject

_INSTALL_WITHIN_S = 900

_LITELLM_CONFIG = """\
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: {base_url}
      api_key: none
"""


@contextmanager
def litellm(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """LiteLLM's proxy from PyPI, one worker, no database, a master key of this run."""
    home = cache / "litellm"
    python = home / "bin" / "python"
    if not (home / "bin" / "litellm").exists():
        _install([sys.executable, "-m", "venv", home])
        _install([python, "-m", "pip", "install", "--quiet", "litellm[proxy]"])
    said: list[str | Path] = [python, "-c", "from importlib.metadata import version; print(version('litellm'))"]
    version = subprocess.run(said, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    config = scratch / "litellm.yaml"
    config.write_text(_LITELLM_CONFIG.format(base_url=upstream.target.base_url))
    port = free_port()
    command: list[str | Path] = [
        home / "bin" / "litellm",
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    master_key = f"sk-{secrets.token_hex(32)}"
    # Its own interpreter must not see the variables that the project's environment is run with.
    env = quiet | {"LITELLM_MASTER_KEY": master_key, "PYTHONPATH": "", "VIRTUAL_ENV": str(home)}
    with running(command, port=port, log=scratch / "litellm.log", env=env, ready_within_s=120) as pid:
        target = Target(f"http://127.0.0.1:{port}/v1", headers=(("authorization", f"Bearer {master_key}"),))
        yield Subject("litellm", target, pid, f"LiteLLM {version}")


@contextmanager
def portkey(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """Portkey's gateway from npm, on Node, told by headers which upstream to ask."""
    home = cache / "portkey"
    package = home / "node_modules" / "@portkey-ai" / "gateway"
    if not package.exists():
        _install(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home, "@portkey-ai/gateway"])
    said: list[str | Path] = ["node", "-p", f"require({str(package / 'package.json')!r}).version"]
    version = subprocess.run(said, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    port = free_port()
    command: list[str | Path] = ["node", package / "build" / "start-server.js", f"--port={port}", "--headless"]
    headers = (
        ("authorization", "Bearer none"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", upstream.target.base_url),
    )
    with running(command, port=port, log=scratch / "portkey.log") as pid:
        target = Target(f"http://127.0.0.1:{port}/v1", headers=headers)
        yield Subject("portkey", target, pid, f"Portkey gateway {version}")


PEERS: dict[str, Callable[[Subject, Path, Path], AbstractContextManager[Subject]]] = {
    "litellm": litellm,
    "portkey": portkey,
}


def _install(command: list[str | Path]) -> None:
    if shutil.which(str(command[0])) is None:
        raise RuntimeError(f"{command[0]} is needed to install this peer")
    print("installing:", *command, file=sys.stderr)
    subprocess.run([str(part) for part in command], check=True, timeout=_INSTALL_WITHIN_S, stdout=sys.stderr)
