"""What a cold start imports: a function's own family, and nothing that is needed later (ADR 53)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.coverage import unmeasured
from tests.support.lambda_process import FUNCTIONS, function_environment

NEVER_AT_START = {
    "boto3", "uvicorn", "uvloop", "typer", "jwt", "cryptography", "multipart", "pypdfium2", "pypdfium2_raw",
    "obscura.upstreams.demo", "obscura.cli", "obscura.documents.child_process", "obscura.policy", "re2",
}  # fmt: skip
DIALECTS = {
    "chat": "obscura.dialects.chat.request",
    "messages": "obscura.dialects.messages",
    "responses": "obscura.dialects.responses",
}
CODE = "import sys; from app import handler; print(*sys.modules)"


@pytest.mark.parametrize("family", [*DIALECTS, "models", "playground"])
def test_a_function_imports_its_own_family_and_nothing_for_later(family: str, tmp_path: Path) -> None:
    environment = function_environment(FUNCTIONS / family, tmp_path, UPSTREAM_URL="http://127.0.0.1:9/v1")
    process = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=FUNCTIONS / family, env=unmeasured(environment), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    loaded = set(process.stdout.split())
    assert loaded & NEVER_AT_START == set()
    others = {module for name, module in DIALECTS.items() if name not in {family, "chat"}}
    assert loaded & others == set()
    assert f"obscura.api.routers.{family}" in loaded


def test_the_runtimes_client_is_imported_without_httpx() -> None:
    code = "import sys; import obscura.aws.runtime.api; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)

    loaded = set(process.stdout.split())
    assert "obscura.httpclient.connection" in loaded
    assert loaded & {"httpx", "obscura.httpclient.transport"} == set()


@pytest.mark.parametrize("code", sorted(FUNCTIONS.glob("*/app.py")), ids=lambda code: code.parent.name)
def test_a_functions_code_is_fifteen_lines_at_most(code: Path) -> None:
    assert len(code.read_text().splitlines()) <= 15
