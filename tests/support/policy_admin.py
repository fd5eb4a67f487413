"""A client of the management API of policies, with an admin's key."""

from typing import Any

import httpx

from tests.support.gateway import Gateway

BASE = "/api/policy-gateway"
DOCUMENT = {"policy_id": "p1", "name": "Support", "rules": {"denylist": ["wire transfer"]}, "images": {"max_count": 1}}


class Admin:
    """A client with an admin's key."""

    def __init__(self, gateway: Gateway, headers: dict[str, str]) -> None:
        self._client, self._headers = gateway.client, headers

    async def __call__(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.request(method, BASE + path, json=json, headers=self._headers | named)

    async def save(self, **fields: Any) -> httpx.Response:
        return await self("POST", "/policies", DOCUMENT | fields)


async def an_admin(gateway: Gateway) -> Admin:
    return Admin(gateway, await gateway.headers_of("admins", scopes=frozenset({"admin"})))


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]
