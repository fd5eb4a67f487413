"""Policies cost nothing where none are served: a function of /v1 imports none of their code (ADR 53)."""

import subprocess
import sys

import pytest

CODE = """
import asyncio, sys
from obscura.api.routers import load_family
from obscura.api.app import create_family_app
from obscura.settings import Settings

async def start():
    app = create_family_app((load_family({family!r}),), Settings(moderation="off", data_dir={folder!r}))
    async with app.router.lifespan_context(app):
        print(*sys.modules)

asyncio.run(start())
"""


@pytest.mark.parametrize("family", ["chat", "inspect", "policy", "policies"])
def test_a_started_family_has_imported_policies_only_if_it_serves_them(family: str, tmp_path: object) -> None:
    code = CODE.format(family=family, folder=str(tmp_path))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)

    loaded = set(process.stdout.split())
    assert f"obscura.api.routers.{family}" in loaded
    assert ("obscura.policy" in loaded) == (family != "chat")
    assert "re2" not in loaded
