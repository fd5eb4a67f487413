"""Every kind of upstream as the contract tests script it, and every dialect of callers as they read it."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support import bedrock
from tests.support.fake_upstream import ANSWER, answers, chunk, streams
from tests.support.loopback_server import Received, Respond

CLAUDE, NOVA = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "eu.amazon.nova-pro-v1:0"

type Call = tuple[str, str, dict[str, Any]]
"""A call of a tool: its id, its name, its input."""


@dataclass(frozen=True)
class Kind:
    """One kind of upstream; ``stop`` is one of stop, length, filter."""

    name: str
    entry: str
    model: str
    whole: Callable[[str, str], Respond]
    calls: Callable[[Sequence[Call]], Respond]
    stream: Callable[[Sequence[str], str, str], Respond]
    call_stream: Callable[[Sequence[Call]], Respond]
    fails: Callable[[int], Respond]
    images: Callable[[Received], list[str]]

    def catalog(self, url: str) -> str:
        return (
            f'[[upstreams]]\nname = "u"\nurl = "{url}"\nkind = "{self.name.partition(" ")[0]}"\n{self.entry}\n'
            f'[[models]]\nid = "m"\nupstream = "u"\n{self.model}\n'
        )


def _find(node: Any, found: Callable[[dict[str, Any]], str | None]) -> list[str]:
    if isinstance(node, list):
        return [image for item in node for image in _find(item, found)]
    if not isinstance(node, dict):
        return []
    here = found(node)
    return [here] if here else [image for item in node.values() for image in _find(item, found)]


def _chat_images(request: Received) -> list[str]:
    return _find(request.json(), lambda node: node["url"].partition(",")[2] if "url" in node else None)


def _anthropic_images(request: Received) -> list[str]:
    return _find(request.json(), lambda node: node.get("data") if node.get("type") == "base64" else None)


def _converse_images(request: Received) -> list[str]:
    return _find(request.json(), lambda node: node.get("bytes"))


def _chat_answer(message: dict[str, Any], finish: str) -> Respond:
    return answers(ANSWER | {"choices": [{"index": 0, "message": message, "finish_reason": finish}]})


_FINISH = {"stop": "stop", "length": "length", "filter": "content_filter"}
_STOP = {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}
_CONVERSE_STOP = {"stop": "end_turn", "length": "max_tokens", "filter": "guardrail_intervened"}
_ERRORS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    429: "ThrottlingException",
    500: "InternalServerException",
}


def _chat_calls(calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [
        {"index": i, "id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for i, (call_id, name, given) in enumerate(calls)
    ]


def _chat_fails(status: int) -> Respond:
    return answers({"error": {"message": "It failed.", "type": "t"}}, status)


OPENAI = Kind(
    "openai",
    "",
    "",
    lambda text, stop: _chat_answer({"role": "assistant", "content": text}, _FINISH[stop]),
    lambda calls: _chat_answer({"role": "assistant", "content": None, "tool_calls": _chat_calls(calls)}, "tool_calls"),
    lambda texts, stop, then: streams(
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": text}) for text in texts),
        *(
            (chunk({}, _FINISH[stop]), chunk({}, choices=[], usage=ANSWER["usage"]), b"data: [DONE]\n\n")
            if stop
            else ()
        ),
        then=then,
    ),
    lambda calls: streams(
        chunk({"role": "assistant", "tool_calls": _chat_calls(calls)}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"
    ),
    _chat_fails,
    _chat_images,
)

VLLM = replace(OPENAI, name="vllm")


def message(content: list[dict[str, Any]], stop: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 2},
    }


def _tool_uses(calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [{"type": "tool_use", "id": call_id, "name": name, "input": given} for call_id, name, given in calls]


def message_events(
    blocks: Sequence[tuple[dict[str, Any], Sequence[dict[str, Any]]]], stop: str
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message([], "") | {"stop_reason": None}}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if stop:
        delta = {"stop_reason": stop, "stop_sequence": None}
        events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}}, {"type": "message_stop"}]
    return events


def _text_blocks(texts: Sequence[str]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [({"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in texts])]


def _call_blocks(calls: Sequence[Call]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [
        (block | {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}])
        for block in _tool_uses(calls)
    ]


def _sse(events: list[dict[str, Any]]) -> list[bytes]:
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


ANTHROPIC = Kind(
    "anthropic",
    'dialects = ["messages"]',
    "",
    lambda text, stop: answers(message([{"type": "text", "text": text}], _STOP[stop])),
    lambda calls: answers(message(_tool_uses(calls), "tool_use")),
    lambda texts, stop, then: streams(
        *_sse(message_events(_text_blocks(texts), _STOP[stop] if stop else "")), then=then
    ),
    lambda calls: streams(*_sse(message_events(_call_blocks(calls), "tool_use"))),
    lambda status: answers({"type": "error", "error": {"type": "t", "message": "It failed."}}, status),
    _anthropic_images,
)


def _bedrock_fails(status: int) -> Respond:
    return bedrock.requiring_signatures(bedrock.fails(_ERRORS[status], status))


BEDROCK_CONVERSE = Kind(
    "bedrock converse",
    f'region = "{bedrock.REGION}"',
    f'upstream_id = "{NOVA}"',
    lambda text, stop: bedrock.requiring_signatures(
        bedrock.answering(bedrock.converse_answer({"text": text}, stop=_CONVERSE_STOP[stop]))
    ),
    lambda calls: bedrock.requiring_signatures(
        bedrock.answering(
            bedrock.converse_answer(
                *({"toolUse": {"toolUseId": i, "name": name, "input": given}} for i, name, given in calls),
                stop="tool_use",
            )
        )
    ),
    lambda texts, stop, then: bedrock.requiring_signatures(
        bedrock.streaming(
            bedrock.text_events(*texts, stop=_CONVERSE_STOP[stop])
            if stop
            else bedrock.text_events(*texts)[: 1 + len(texts)],
            then,
        )
    ),
    lambda calls: bedrock.requiring_signatures(
        bedrock.streaming(bedrock.tool_events(*((i, name, (json.dumps(given),)) for i, name, given in calls)))
    ),
    _bedrock_fails,
    _converse_images,
)
BEDROCK_NATIVE = Kind(
    "bedrock native",
    f'region = "{bedrock.REGION}"',
    f'upstream_id = "{CLAUDE}"',
    lambda text, stop: bedrock.requiring_signatures(
        bedrock.answering(message([{"type": "text", "text": text}], _STOP[stop]))
    ),
    lambda calls: bedrock.requiring_signatures(bedrock.answering(message(_tool_uses(calls), "tool_use"))),
    lambda texts, stop, then: bedrock.requiring_signatures(
        bedrock.streaming(
            bedrock.invoke_events(*message_events(_text_blocks(texts), _STOP[stop] if stop else "")), then
        )
    ),
    lambda calls: bedrock.requiring_signatures(
        bedrock.streaming(bedrock.invoke_events(*message_events(_call_blocks(calls), "tool_use")))
    ),
    _bedrock_fails,
    _anthropic_images,
)


@dataclass(frozen=True)
class Caller:
    """One dialect of callers."""

    name: str
    path: str

    def body(self, text: str, *images: bytes, tools: bool = False, stream: bool = False) -> dict[str, Any]:
        encoded = [base64.b64encode(image).decode() for image in images]
        body: dict[str, Any] = {"model": "m", "stream": stream, "max_tokens": 100}
        if self.name == "chat":
            parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in encoded]
            function = {"name": "weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}
            body |= {"tools": [{"type": "function", "function": function}]} if tools else {}
            return body | {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]}
        sources = [{"type": "base64", "media_type": "image/png", "data": data} for data in encoded]
        blocks = [{"type": "image", "source": source} for source in sources]
        body |= {"tools": [{"name": "weather", "input_schema": {"type": "object"}}]} if tools else {}
        return body | {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, *blocks]}]}

    def read(self, answer: dict[str, Any]) -> tuple[str, list[Call], str]:
        """Return an answer's text, its calls of tools, and why it stopped: stop, length, filter or tools."""
        if self.name == "chat":
            choice = answer["choices"][0]
            reasons = {"stop": "stop", "length": "length", "content_filter": "filter", "tool_calls": "tools"}
            calls = [
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in choice["message"].get("tool_calls") or ()
            ]
            return choice["message"].get("content") or "", calls, reasons[choice["finish_reason"]]
        reasons = {"end_turn": "stop", "max_tokens": "length", "refusal": "filter", "tool_use": "tools"}
        blocks = answer["content"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        uses = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        return text, uses, reasons[answer["stop_reason"]]

    def read_stream(self, data: str) -> tuple[str, list[Call], str]:
        """Return the same of a whole stream."""
        events = [
            json.loads(line[5:]) for line in data.splitlines() if line.startswith("data:") and "[DONE]" not in line
        ]
        return self.read(_chat_of(events) if self.name == "chat" else _message_of(events))


def _chat_of(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    text, finish = "", None
    calls: dict[int, dict[str, Any]] = {}
    for choice in (choice for each in chunks for choice in each["choices"]):
        delta = choice["delta"]
        text += delta.get("content") or ""
        finish = choice["finish_reason"] or finish
        for call in delta.get("tool_calls") or ():
            known = calls.setdefault(call["index"], {"id": call.get("id"), "function": {"name": "", "arguments": ""}})
            known["function"]["name"] += call["function"].get("name") or ""
            known["function"]["arguments"] += call["function"].get("arguments") or ""
    return {"choices": [{"message": {"content": text, "tool_calls": list(calls.values())}, "finish_reason": finish}]}


def _message_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    stop = None
    for each in events:
        if each["type"] == "content_block_start":
            blocks.append(each["content_block"] | {"json": ""})
        elif each["type"] == "content_block_delta":
            delta = each["delta"]
            blocks[-1]["text"] = blocks[-1].get("text", "") + delta.get("text", "")
            blocks[-1]["json"] += delta.get("partial_json", "")
        elif each["type"] == "message_delta":
            stop = each["delta"]["stop_reason"]
    return {
        "content": [block | {"input": json.loads(block["json"] or "{}")} for block in blocks],
        "stop_reason": stop,
    }


CHAT, MESSAGES = Caller("chat", "/v1/chat/completions"), Caller("messages", "/v1/messages")
PAIRS = [
    (OPENAI, CHAT),
    (OPENAI, MESSAGES),
    (VLLM, CHAT),
    (VLLM, MESSAGES),
    (ANTHROPIC, MESSAGES),
    (BEDROCK_CONVERSE, CHAT),
    (BEDROCK_CONVERSE, MESSAGES),
    (BEDROCK_NATIVE, MESSAGES),
]
"""Every kind of upstream with every dialect that it is spoken to in: its own, or chat that another is translated to."""
