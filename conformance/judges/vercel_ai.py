"""The Vercel AI SDK with its defaults, over all three dialects: ``node/vercel.mjs`` has the tests."""

import json
import time

from PIL import Image

from conformance.figures import Failure, Figures, shortened
from conformance.installed import npm_version
from conformance.setting import FOLDER, Setting


def run(setting: Setting) -> list[Figures]:
    """Run the script against both gateways."""
    png = setting.folder / "vercel.png"
    Image.new("RGB", (64, 64), "red").save(png)
    found = []
    for way, gateway in setting.gateways.items():
        began = time.monotonic()
        printed = setting.tool(
            "node",
            FOLDER / "node" / "vercel.mjs",
            timeout_s=60,
            GATEWAY_URL=gateway.url,
            GATEWAY_KEY=gateway.key,
            SAMPLE_PNG=str(png),
        )
        said: dict[str, str | None] = json.loads(printed.splitlines()[-1])
        failures = tuple(Failure(test, shortened(reason)) for test, reason in said.items() if reason is not None)
        seconds = time.monotonic() - began
        passed = len(said) - len(failures)
        found.append(Figures("Vercel AI SDK", npm_version("ai"), way, passed, failures, seconds=seconds))
    return found
