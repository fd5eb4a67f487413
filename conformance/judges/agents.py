"""Codex CLI and Claude Code, headless: a question with an image for Codex, a question for Claude Code."""

import json
import time
from pathlib import Path

from PIL import Image

from conformance.figures import Failure, Figures, shortened
from conformance.installed import npm_version
from conformance.model import MESSAGES_MODEL, MODEL
from conformance.setting import MODULES, Setting
from tests.support.serving_process import ServingProcess

TIMEOUT_S = 45


def run(setting: Setting) -> list[Figures]:
    """Run both against both gateways."""
    png = setting.folder / "agents.png"
    Image.new("RGB", (64, 64), "red").save(png)
    found = []
    for way, gateway in setting.gateways.items():
        began = time.monotonic()
        printed = codex(setting, gateway, png)
        said = [json.loads(line).get("item", {}) for line in printed.splitlines() if line.startswith("{")]
        spoken = [item["text"] for item in said if item.get("type") == "agent_message"]
        what = f"Responses with an image, {way}"
        found.append(figures("Codex CLI", "@openai/codex", what, spoken == ["hello"], printed, began))
        began = time.monotonic()
        printed = claude_code(setting, gateway)
        spoken = [json.loads(line).get("result") for line in printed.splitlines() if line.startswith("{")]
        what = f"Messages, {way}"
        found.append(figures("Claude Code", "@anthropic-ai/claude-code", what, spoken == ["hello"], printed, began))
    return found


def codex(setting: Setting, gateway: ServingProcess, png: Path) -> str:
    """Return the events that ``codex exec`` prints, one JSON object a line."""
    provider = f'{{name="gateway",base_url="{gateway.v1}",env_key="GATEWAY_KEY",wire_api="responses"}}'
    return setting.tool(
        MODULES / ".bin" / "codex", "exec", "--skip-git-repo-check", "--json", "-i", png, "-m", MODEL,
        "-c", 'model_provider="gateway"', "-c", f"model_providers.gateway={provider}", "--", "Say: hello",
        timeout_s=TIMEOUT_S, GATEWAY_KEY=gateway.key,
    )  # fmt: skip


def claude_code(setting: Setting, gateway: ServingProcess) -> str:
    """Return the result that ``claude -p`` prints as JSON."""
    return setting.tool(
        MODULES / ".bin" / "claude", "-p", "Say: hello", "--model", MESSAGES_MODEL, "--output-format", "json",
        timeout_s=TIMEOUT_S, ANTHROPIC_BASE_URL=gateway.url, ANTHROPIC_API_KEY=gateway.key,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )  # fmt: skip


def figures(  # noqa: PLR0913, PLR0917
    tool: str, package: str, what: str, passed: bool, printed: str, began: float
) -> Figures:
    """Return the figures of one run."""
    failures = () if passed else (Failure("exec", shortened(printed)),)
    return Figures(tool, npm_version(package), what, int(passed), failures, seconds=time.monotonic() - began)
