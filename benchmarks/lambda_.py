"""Lambda: the cold start against a floor, what the streaming runtime adds when warm, and a stream's first byte.

``python -m benchmarks.lambda_ [--artefacts DIR] [--rounds N]``. Builds the layers for this machine (kept in DIR, when
one is given) and needs what ``make sam`` sets up: the emulator and a pip. Compare figures of one run only.
"""

import argparse
import asyncio
import base64
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.gateway_load.pictures import make_pictures, photograph
from benchmarks.gateway_load.subjects import fake_upstream, obscura_settings
from benchmarks.lambda_load.artefacts import build
from benchmarks.lambda_load.cold import BUFFERED, STREAMED, Subject, cold_ms, import_tree, report
from benchmarks.lambda_load.streaming_upstream import streaming_upstream
from benchmarks.lambda_load.warm import first_event_ms, in_turns, running
from tests.support.lambda_events import rest_event
from tests.support.lambda_process import new_key

RAW_BYTES = 3_000_000
"""Of a picture whose base64 is 4 MB, near the most that Lambda takes."""


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--artefacts", type=Path, help="where the built layers are kept")
    arguments.add_argument("--rounds", type=int, default=9, help="cold starts of each subject")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        artefacts = build(chosen.artefacts or folder / "artefacts")
        upstream = stack.enter_context(fake_upstream(make_pictures(folder), folder))
        settings = obscura_settings(upstream, folder / "data")
        bearer = {"Authorization": f"Bearer {asyncio.run(new_key(folder / 'data'))}"}
        asking = {"model": "bench", "messages": [{"role": "user", "content": "What stands against the wall?"}]}
        text = rest_event("POST", "/v1/chat/completions", asking, **bearer)

        ours = Subject("obscura", STREAMED, artefacts.environment("chat", **settings), text)
        floor = Subject("floor", BUFFERED, artefacts.environment("floor", **settings), text)
        print("Cold: the first request in Lambda's emulator, medians")
        report(cold_ms((floor, ours), artefacts, chosen.rounds), print)
        print("\nImports of the chat function:\n" + import_tree(ours, artefacts))

        print("\nWarm: the runtime over the application called directly, p50")
        large = rest_event("POST", "/v1/chat/completions", _with_picture(asking), **bearer)
        for name, event, count in (("text", text, 300), ("4 MB picture", large, 20)):
            whole_ms, alone_ms = in_turns(artefacts, ours.environment, event, count)
            added_ms = whole_ms - alone_ms
            print(f"{name:>28}: {alone_ms:.2f} ms → {whole_ms:.2f} ms, {added_ms:+.2f} ms, {added_ms / alone_ms:+.0%}")
        print(f"{'':>28}  (aims: text ≤ +1 ms, 4 MB ≤ +10 %)")

        streaming = stack.enter_context(streaming_upstream())
        environment = dict(ours.environment) | {"OBSCURA_UPSTREAM_URL": streaming.base_url}
        streamed = rest_event("POST", "/v1/chat/completions", asking | {"stream": True}, **bearer)
        with running(artefacts, environment) as stand_in:
            behind_ms = first_event_ms(stand_in, streamed, streaming, 100)
        print("\nStream: the first event leaves behind the upstream's by")
        print(f"{'':>28}  {behind_ms[50]:.2f} ms (p50), {behind_ms[95]:.2f} ms (p95)")
        print(f"{'':>28}  (aim ≤ 5 ms)")


def _with_picture(asking: dict[str, object]) -> dict[str, object]:
    """Put a photograph of ``RAW_BYTES`` beside the question."""
    url = "data:image/jpeg;base64," + base64.b64encode(photograph(3600, 2400, RAW_BYTES)).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return asking | {"messages": [{"role": "user", "content": parts}]}


if __name__ == "__main__":
    main()
