"""A catalog file of a model with several upstreams on loopback, and the gateway before them."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.fake_upstream import answers
from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer, Respond, loopback_server


def toml_table(kind: str, /, **fields: object) -> str:
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items()]
    return "\n".join((f"[[{kind}]]", *lines, ""))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def answering(words: str) -> Respond:
    """Answer a chat completion with these words."""
    message = {"role": "assistant", "content": words}
    return answers(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "theirs",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    )


class Group:
    """The upstreams by their names, and the gateway before them; callers ask for model ``m``, or ``NAME-alone``."""

    def __init__(self, gateway: Gateway, upstreams: dict[str, LoopbackServer]) -> None:
        self.gateway = gateway
        self.upstreams = upstreams

    def asked(self) -> dict[str, int]:
        """How many requests each upstream got."""
        return {name: len(server.received) for name, server in self.upstreams.items()}


@asynccontextmanager
async def served_group(
    folder: Path,
    upstreams: dict[str, dict[str, Any]],
    members: list[Any] | None = None,
    model: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Group]:
    """Serve a model of these upstreams: ``responds`` and the fields of the file for each; ``model`` has the model's."""
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(loopback_server(fields.get("responds", answering(name))))
            for name, fields in upstreams.items()
        }
        tables = [
            toml_table("upstreams", name=name, **{"url": servers[name].v1} | _without_responds(fields))
            for name, fields in upstreams.items()
        ]
        tables.append(toml_table("models", id="m", upstreams=members or list(upstreams), **(model or {})))
        tables += [toml_table("models", id=f"{name}-alone", upstream=name) for name in upstreams]
        path = folder / "models.toml"
        path.write_text("\n".join(tables))
        yield Group(await stack.enter_async_context(running_gateway(models=path, **settings)), servers)


def _without_responds(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "responds"}
