"""A chat model by rules, as the upstream: it calls the tools it is offered and fills the schemas it is asked for."""

import asyncio
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.loopback_server import LoopbackServer, Received, Wire, loopback_server

MODEL = "m"
MESSAGES_MODEL = "claude-m"
CHARACTERS_PER_TOKEN = 4
Json = dict[str, Any]


def reply(request: Json) -> Json:
    """Return the message that answers a chat request: tool calls, JSON of the asked shape, or a sentence."""
    text = last_user_text(request["messages"])
    if called := chosen_tools(request, text):
        calls = [
            {
                "id": f"call_{secrets.token_hex(8)}",
                "type": "function",
                "function": {"name": tool["name"], "arguments": json.dumps(example(tool.get("parameters", {}), text))},
            }
            for tool in called
        ]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    return {"role": "assistant", "content": content(request, text)}


def chosen_tools(request: Json, text: str) -> list[Json]:
    """Return the functions to call: the forced one, or those that the last message names; none after a result."""
    functions = [tool["function"] for tool in request.get("tools") or [] if tool.get("type") == "function"]
    choice = request.get("tool_choice") or "auto"
    if not functions or choice == "none":
        return []
    if isinstance(choice, dict):
        name = choice.get("function", {}).get("name")
        return [function for function in functions if function["name"] == name][:1]
    named = [function for function in functions if mentions(text, function)]
    if choice == "required":
        return named[:1] or functions[:1]
    return named[:1] if request["messages"][-1]["role"] == "user" else []


def mentions(text: str, function: Json) -> bool:
    """Whether a text has a word of a function's name, of at least four letters."""
    words = set(re.findall(r"[a-z]{4,}", text.lower()))
    return bool(words & set(re.findall(r"[a-z]{4,}", function["name"].lower())))


def content(request: Json, text: str) -> str:
    """Return what the model says, cut at a stop sequence: JSON if a form is asked for."""
    form = request.get("response_format") or {}
    if form.get("type") == "json_schema":
        return json.dumps(example(form["json_schema"].get("schema", {}), text))
    if form.get("type") == "json_object":
        keys = re.findall(r"[\"'`](\w+)[\"'`]", text) or ["answer"]
        return json.dumps(dict.fromkeys(keys, "a word"))
    said = re.search(r"(?:exactly|word|say)[:\s]+[\"'`]?([A-Za-z0-9_-]+)", text, re.IGNORECASE)
    answer = said[1] if said else f"You said: {text[:200]}"
    stops = request.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        answer = answer.split(stop)[0]
    return answer


def example(schema: Json, text: str, root: Json | None = None) -> Any:  # noqa: PLR0911  one kind of schema a line
    """Return a value of a JSON schema, with the numbers and names that stand in a text."""
    root = schema if root is None else root
    if "$ref" in schema:
        found: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return example(found, text, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return next((value for value in schema["enum"] if str(value).lower() in text.lower()), schema["enum"][0])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return example(options[0], text, root)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: example(inner, text, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}), text, root)] * max(1, schema.get("minItems", 1))
    if kind in {"integer", "number"}:
        numbers = re.findall(r"-?\d+", text)
        return int(numbers[0]) if numbers else max(1, int(schema.get("minimum", 1)))
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    quoted = re.findall(r"[\"'`]([^\"'`]+)[\"'`]", text)
    if not text.isascii() and quoted:
        return quoted[0]
    names = re.findall(r"\b(?:in|for|of)\s+([A-Z][a-z]+(?:\s[A-Z][a-z]+)*)", text)
    return names[-1] if names else "a word"


def last_user_text(messages: list[Json]) -> str:
    """Return the text of the last message of the user."""
    for message in reversed(messages):
        if message["role"] == "user":
            return text_of(message["content"])
    return ""


def text_of(said: Any) -> str:
    """Return a message's text, of all its text parts."""
    if isinstance(said, str):
        return said
    return " ".join(part["text"] for part in said or [] if part.get("type") == "text")


def completion(request: Json) -> Json:
    """Return the whole chat completion; a limit of tokens cuts the text and ends it with ``length``."""
    message, finish = reply(request), "stop"
    spoken = message["content"] or ""
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if message.get("tool_calls"):
        finish = "tool_calls"
    elif limit and len(spoken) > limit * CHARACTERS_PER_TOKEN:
        message["content"] = spoken = spoken[: limit * CHARACTERS_PER_TOKEN]
        finish = "length"
    read = max(1, len(json.dumps(request["messages"])) // CHARACTERS_PER_TOKEN)
    written = max(1, len(spoken or json.dumps(message.get("tool_calls"))) // CHARACTERS_PER_TOKEN)
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": request["model"],
        "choices": [{"index": 0, "message": message | {"refusal": None}, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def chunks(request: Json) -> Iterator[Json]:
    """Yield the completion as the chunks of a stream: word by word, the finish reason, the usage if asked for."""
    whole = completion(request)
    base = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    (choice,) = whole["choices"]
    message = choice["message"]
    deltas: list[Json] = [{"role": "assistant", "content": None if message.get("tool_calls") else ""}]
    deltas += [{"content": word} for word in re.findall(r"\s*\S+|\s+$", message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls", [])):
        arguments = call["function"]["arguments"]
        head = call | {"index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
        deltas += [{"tool_calls": [head]}]
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}]
    for delta in deltas:
        yield base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}]}
    yield base | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"], "logprobs": None}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield base | {"choices": [], "usage": whole["usage"]}


async def respond(received: Received, wire: Wire) -> None:
    """Answer a request of the gateway: the list of models, or a chat completion."""
    if received.method == "GET":
        listed = [{"id": MODEL, "object": "model", "created": 1, "owned_by": "obscura"}]
        await wire.answer(200, json.dumps({"object": "list", "data": listed}).encode())
        return
    request = received.json()
    if not request.get("stream"):
        await wire.answer(200, json.dumps(completion(request)).encode())
        return
    await wire.head(200, content_type="text/event-stream", transfer_encoding="chunked")
    for chunk in chunks(request):
        await wire.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await wire.chunk(b"data: [DONE]\n\n")
    await wire.chunk(b"")


@contextmanager
def served_model() -> Iterator[LoopbackServer]:
    """Serve the model on a free port of loopback, on an event loop of its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = loopback_server(respond)
    server = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
