"""Lambda: the cold start against a floor, what the streaming runtime adds when warm, and a stream's first byte.

``make benchmark-lambda``, or ``python -m benchmarks.lambda_ [--rounds N]`` after ``make build-host``. Compare figures
of one run only, and of a quiet machine: two processes that share busy cores measure each other.
"""

import argparse
import asyncio
import base64
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.gateway_load.images import make_images, photograph
from benchmarks.gateway_load.requests import MODEL
from benchmarks.gateway_load.subjects import fake_upstream, obscura_settings
from benchmarks.lambda_load.cold import Subject, cold_ms, import_tree, report
from benchmarks.lambda_load.streaming_upstream import streaming_upstream
from benchmarks.lambda_load.warm import first_event_ms, in_turns, running
from rehearsal.emulator import WRAPPER
from rehearsal.layout import Layout, install_layout
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import new_key

RAW_BYTES = 3_000_000
"""Of an image whose base64 is 4 MB, near Lambda's limit."""


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9, help="cold starts of each subject")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        layout = install_layout()
        upstream = stack.enter_context(fake_upstream(make_images(folder), folder))
        settings = obscura_settings(upstream, folder / "data")
        bearer = f"Bearer {asyncio.run(new_key(folder / 'data'))}"
        question: dict[str, object] = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "What stands against the wall?"}],
        }
        text = rest_event("POST", "/v1/chat/completions", question, Authorization=bearer)

        ours = Subject("obscura", layout, "chat", settings | {WRAPPER: "/opt/bin/obscura-runtime"}, text)
        floor = Subject("floor", _with_floor(layout, folder), "floor", settings, text)
        print("Cold: the first request in Lambda's emulator, medians")
        report(cold_ms((floor, ours), chosen.rounds), print)
        print("\nImports of the chat function:\n" + import_tree(ours))

        print("\nWarm: the runtime over the application called directly (a busy machine bends the median)")
        large = rest_event("POST", "/v1/chat/completions", _with_image(question), Authorization=bearer)
        for name, event, count in (("text", text, 300), ("4 MB image", large, 20)):
            whole_ms, alone_ms = in_turns(ours, event, count)
            print(f"{name:>28}: p50 {_added(median(alone_ms), median(whole_ms))}")
            print(f"{'':>28}  least {_added(min(alone_ms), min(whole_ms))}")
        print(f"{'':>28}  (aims: text ≤ +1 ms, 4 MB ≤ +10 %)")

        streaming = stack.enter_context(streaming_upstream())
        streaming_settings = settings | {"OBSCURA_UPSTREAM_URL": streaming.base_url}
        streamed = rest_event("POST", "/v1/chat/completions", question | {"stream": True}, Authorization=bearer)
        with running(replace(ours, settings=streaming_settings)) as stand_in:
            delays_ms = first_event_ms(stand_in, streamed, streaming, 100)
        print("\nStream: the first event leaves after the upstream's by")
        print(f"{'':>28}  {delays_ms[50]:.2f} ms (p50), {delays_ms[95]:.2f} ms (p95)")
        print(f"{'':>28}  (aim ≤ 5 ms)")


def _added(alone_ms: float, whole_ms: float) -> str:
    added_ms = whole_ms - alone_ms
    return f"{alone_ms:.2f} ms → {whole_ms:.2f} ms, {added_ms:+.2f} ms, {added_ms / alone_ms:+.0%}"


def _with_floor(layout: Layout, folder: Path) -> Layout:
    """Return the same layers and runtime with the floor's function in place of ours."""
    floor = Path(__file__).parent / "lambda_load" / "floor"
    shutil.copytree(floor, folder / "FloorFunction", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(layout, built=folder)


def _with_image(question: dict[str, object]) -> dict[str, object]:
    """Put a photograph of ``RAW_BYTES`` beside the question."""
    url = "data:image/jpeg;base64," + base64.b64encode(photograph(3600, 2400, RAW_BYTES)).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return question | {"messages": [{"role": "user", "content": parts}]}


if __name__ == "__main__":
    main()
