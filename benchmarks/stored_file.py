"""What a stored image costs at its first use and at its second: ``python -m benchmarks.stored_file``.

A JPEG of 10 MB is stored and then sent by its id, over a socket, with an upstream that answers at once; each round
stores it again, so that each has a first use. Nothing is asserted; absolute times are this machine's.
"""

import argparse
import base64
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import httpx

from benchmarks.gateway_load.images import make_images
from benchmarks.gateway_load.requests import Target
from benchmarks.gateway_load.subjects import fake_upstream, obscura

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "obscura-benchmarks"
STEPS = ("stored", "first use", "second use", "third use", "sent inline instead")


def main() -> None:
    """Run as many rounds as the command line asks for and print the medians."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    images = make_images(CACHE / "images")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{images.large.stat().st_size / 1e6:.1f} MB JPEG, medians of {rounds} rounds\n")
    with (
        tempfile.TemporaryDirectory(prefix="obscura-benchmark-") as scratch,
        fake_upstream(images, Path(scratch)) as upstream,
        obscura(upstream, Path(scratch)) as subject,
    ):
        image = images.large.read_bytes()
        elapsed_ms = [one_round(subject.target, image) for _ in range(rounds)]
    medians = [statistics.median(column) for column in zip(*elapsed_ms, strict=True)]
    for step, median_ms in zip(STEPS, medians, strict=True):
        print(f"{step:<20}{median_ms:8.1f} ms")
    print(f"\nsecond / first: 1/{medians[1] / medians[2]:.0f}")


def one_round(target: Target, image: bytes) -> list[float]:
    """Store an image, use it three times, and send it inline once; return the milliseconds of each step."""
    with httpx.Client(base_url=target.base_url, headers=dict(target.headers), timeout=60, trust_env=False) as client:
        stored, stored_ms = timed(lambda: client.post("/files", files={"file": ("image.jpg", image)}))
        by_id = {"file_id": stored.json()["id"]}
        used_ms = [timed(lambda: chat(client, target, by_id))[1] for _ in range(3)]
        inline = {"url": f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"}
        return [stored_ms, *used_ms, timed(lambda: chat(client, target, inline))[1]]


def chat(client: httpx.Client, target: Target, image_url: dict[str, str]) -> httpx.Response:
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": image_url}]
    body = {"model": target.model, "messages": [{"role": "user", "content": content}]}
    return client.post("/chat/completions", json=body)


def timed(call: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    began_s = perf_counter()
    response = call()
    elapsed_ms = (perf_counter() - began_s) * 1e3
    response.raise_for_status()
    return response, elapsed_ms


if __name__ == "__main__":
    main()
