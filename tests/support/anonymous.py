"""Unauthenticated clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.support.gateway import Gateway

FREE_TIER = {"x-free-tier": "true"}


@dataclass
class AnonymousClient:
    """Sends requests of the free tier, from 127.0.0.1."""

    client: httpx.AsyncClient

    async def chat(self, body: object, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, json=body, headers=FREE_TIER | named)


@asynccontextmanager
async def anonymous_client(gateway: Gateway) -> AsyncIterator[AnonymousClient]:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client:
        yield AnonymousClient(client)
