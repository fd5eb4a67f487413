"""What is run on a small disk (``tests.support.small_disk``); each scenario prints what it saw as one line of JSON."""

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from obscura.auth.base import Window
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.unit.imaging.images import a_photograph

CHAT = chat_request("hi") | {"model": "obscura-demo"}


def fill(folder: Path) -> None:
    """Take the last byte of the disk, as another program's log might."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


async def upload(gateway: Gateway, content: bytes) -> httpx.Response:
    return await gateway.client.post("/v1/files", files={"file": ("a.png", content)})


async def upload_until_refused(gateway: Gateway, content: bytes) -> list[httpx.Response]:
    responses = [await upload(gateway, content)]
    while responses[-1].status_code == 200:
        responses.append(await upload(gateway, content))
    return responses


async def statuses(gateway: Gateway, count: int, **headers: str) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, trust_env=False, timeout=30) as client:
        responses = [await client.post("/v1/chat/completions", json=CHAT) for _ in range(count)]
    return dict(Counter(str(response.status_code) for response in responses))


async def serve(folder: Path) -> dict[str, Any]:
    """One project fills the disk, then another program takes the reserve; all callers go on asking."""
    async with running_gateway(folder=folder, disk_reserve_mb=8, free_tier_requests=10**6) as gateway:
        other = await gateway.headers_of("other")
        assert await statuses(gateway, 1, **{"x-free-tier": "1"}) == {"200": 1}
        uploads = await upload_until_refused(gateway, a_photograph(900, 600, "BMP"))
        refused = uploads[-1]
        begun = await gateway.client.post(
            "/v1/uploads", json={"filename": "a", "bytes": 900_000, "mime_type": "image/png", "purpose": "vision"}
        )
        part = await gateway.client.post(f"/v1/uploads/{begun.json()['id']}/parts", files={"data": bytes(900_000)})
        with_reserve = await statuses(gateway, 5, **other)
        fill(folder)
        keyed = await statuses(gateway, 60, **other)
        anonymous = await statuses(gateway, 20, **{"x-free-tier": "1"})
        assert gateway.stores is not None
        window = Window.around(datetime.now(UTC), 60)
        for number in range(3_000):  # more than the log has space for at once
            await gateway.stores.rates.increment(f"key:{number % 500}", window)
        on_full = await upload(gateway, a_photograph(30, 20, "BMP"))
        deleted = [await gateway.client.delete(f"/v1/files/{stored.json()['id']}") for stored in uploads[:-1]]
        (folder / "filler").unlink()
        again = await upload(gateway, a_photograph(900, 600, "BMP"))
        return {
            "stored": len(uploads) - 1,
            "refused": [refused.status_code, refused.json()["error"]["code"]],
            "part": [part.status_code, part.json()["error"]["code"]],
            "with_reserve": with_reserve,
            "keyed": keyed,
            "anonymous": anonymous,
            "on_full": [on_full.status_code, on_full.json()["error"]["code"]],
            "deleted": dict(Counter(str(response.status_code) for response in deleted)),
            "again": again.status_code,
        }


async def inodes(folder: Path) -> dict[str, Any]:
    """A project stores many tiny files on a disk that has bytes left and few inodes."""
    async with running_gateway(folder=folder, disk_reserve_mb=1) as gateway:
        uploads = await upload_until_refused(gateway, a_photograph(3, 2, "BMP"))
        refused = uploads[-1]
        chats = await statuses(gateway, 5, authorization=f"Bearer {gateway.key}")
        return {"stored": len(uploads) - 1, "refused": refused.json()["error"]["code"], "chats": chats}


if __name__ == "__main__":
    print(json.dumps(asyncio.run({"serve": serve, "inodes": inodes}[sys.argv[1]](Path(sys.argv[2])))))
