"""The official SDKs for Node, each tested by the module beside this file; Node comes with the dev dependencies."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.photographs import photograph
from tests.support.serving_process import ServingProcess, environment, run_obscura

NODE_TESTS = Path(__file__).parent / "node"
BESIDE_PYTHON = Path(sys.executable).parent


@pytest.fixture(scope="module")
def sdks() -> None:
    """Install what package-lock.json pins, unless it is there already."""
    installed = NODE_TESTS / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (NODE_TESTS / "package-lock.json").stat().st_mtime:
        run("npm", "ci", env=dict(os.environ))


@pytest.fixture(scope="module")
def policy(gateway: ServingProcess) -> None:
    """Save the policy that the tests name, as an admin would."""
    document = {"policy_id": "node", "name": "Node", "rules": {"redact_pii": True, "denylist": ["wire transfer"]}}
    keys = ("keys", "create", "--project", "admins", "--scope", "admin")
    created = run_obscura(*keys, env=environment(gateway.data_dir))
    headers = {"authorization": f"Bearer {created.stdout.split()[-1]}"}
    saved = httpx.post(f"{gateway.url}/api/policy-gateway/policies", json=document, headers=headers)
    assert saved.status_code == 201, saved.text


@pytest.mark.parametrize("sdk", ["openai", "anthropic", "policy"])
@pytest.mark.timeout(180)
def test_the_sdk_for_node(sdk: str, sdks: None, policy: None, gateway: ServingProcess) -> None:
    settings = {
        "GATEWAY_V1": gateway.v1,
        "GATEWAY_KEY": gateway.key,
        "PHOTOGRAPH": str(photograph("rocket.jpg")),
    }

    report = run("node", "--test", f"{sdk}.test.mjs", env=os.environ | settings)

    assert "fail 0" in report
    assert "pass 0" not in report


def run(command: str, *arguments: str, env: dict[str, str]) -> str:
    env = env | {"PATH": f"{BESIDE_PYTHON}{os.pathsep}{env['PATH']}"}
    process = subprocess.run(
        [BESIDE_PYTHON / command, *arguments],
        cwd=NODE_TESTS, env=env, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout
