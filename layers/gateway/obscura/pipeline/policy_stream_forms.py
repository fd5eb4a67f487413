"""How the streams of the three dialects have what the model wrote, and how each of them is ended early."""

import copy
from collections.abc import Hashable, Iterator
from typing import Any

from obscura.pipeline.policy_answer import texts_in
from obscura.pipeline.policy_stream import Delta, Event, StreamForm

type Key = tuple[Hashable, ...]


_DELTA_NAMES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The key of the text in each delta of a message's block."""


class ChatForm:
    """Chunks of chat completions (API reference, "The chat completion chunk object")."""

    def __init__(self) -> None:
        self._last: Event = {}
        self._open: dict[int, None] = {}

    def begin(self, event: Event) -> None:
        """Note the chunk, for those that are made like it."""
        self._last = {key: value for key, value in event.items() if key not in {"choices", "usage"}}
        for choice in _dicts(event.get("choices")):
            self._open[choice.get("index") or 0] = None

    def deltas(self, event: Event) -> Iterator[Delta]:
        """Yield the texts and the arguments of tool calls of each choice."""
        for choice in _dicts(event.get("choices")):
            index, delta = choice.get("index") or 0, choice.get("delta")
            if not isinstance(delta, dict):
                continue
            last = bool(choice.get("finish_reason"))
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                if isinstance(delta.get(name), str):
                    yield Delta((index, name), delta, name, is_last=last)
            for position, call in enumerate(_dicts(delta.get("tool_calls"))):
                function = call.get("function")
                if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                    key = (index, "tool_calls", call.get("index", position))
                    yield Delta(key, function, "arguments", in_json=True, is_last=last)
            function = delta.get("function_call")
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                yield Delta((index, "function_call"), function, "arguments", in_json=True, is_last=last)

    def wholes(self, event: Event) -> Iterator[tuple[Any, Any, bool]]:
        """Yield the texts of content that is a list of parts."""
        for choice in _dicts(event.get("choices")):
            delta = choice.get("delta")
            yield from texts_in(choice.get("message"))
            if isinstance(delta, dict):
                yield from texts_in(delta["content"] if isinstance(delta.get("content"), list) else None)

    def ends_texts(self, event: Event) -> list[Key]:
        """Return the choices that this chunk finishes."""
        return [(choice.get("index") or 0,) for choice in _dicts(event.get("choices")) if choice.get("finish_reason")]

    def rest(self, key: Key, text: str) -> Event:
        """Return a chunk like the last one."""
        index, name, *tool = key
        delta: dict[str, Any] = {str(name): text}
        if name == "tool_calls":
            delta = {"tool_calls": [{"index": tool[0], "function": {"arguments": text}}]}
        elif name == "function_call":
            delta = {"function_call": {"arguments": text}}
        return self._last | {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}

    def passed(self, key: Key, text: str) -> None:
        """Note nothing: no later chunk repeats a text."""

    def number(self, event: Event) -> None:
        """Leave a chunk as it is."""

    def end(self) -> Iterator[Event | bytes]:
        """Yield a last chunk, and the end."""
        choices = [{"index": index, "delta": {}, "finish_reason": "content_filter"} for index in self._open]
        yield self._last | {"choices": choices}
        yield b"data: [DONE]\n\n"


class MessagesForm:
    """Events of messages (Anthropic's documentation, "Streaming Messages")."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._usage: dict[str, Any] = {"output_tokens": 0}

    def begin(self, event: Event) -> None:
        """Note which blocks are open, and the usage."""
        kind, index = event.get("type"), event.get("index", 0)
        if kind == "content_block_start":
            self._open[index] = None
        elif kind == "content_block_stop":
            self._open.pop(index, None)
        elif kind == "message_start":
            usage = (event.get("message") or {}).get("usage") or {}
            self._usage = {"output_tokens": usage.get("output_tokens") or 0}

    def deltas(self, event: Event) -> Iterator[Delta]:
        """Yield the piece of a block."""
        delta = event.get("delta")
        if event.get("type") == "content_block_delta" and isinstance(delta, dict):
            kind = delta.get("type", "")
            name = _DELTA_NAMES.get(kind)
            if name is not None and isinstance(delta.get(name), str):
                yield Delta((event.get("index", 0), kind), delta, name, in_json=name == "partial_json")

    def wholes(self, event: Event) -> Iterator[tuple[Any, Any, bool]]:
        """Yield the texts with which a block begins."""
        yield from texts_in(event.get("content_block"))
        yield from texts_in((event.get("message") or {}).get("content"))

    def ends_texts(self, event: Event) -> list[Key]:
        """Return the block that ends; a signature ends the thinking before it."""
        if event.get("type") == "content_block_stop" or (event.get("delta") or {}).get("type") == "signature_delta":
            return [(event.get("index", 0),)]
        return []

    def rest(self, key: Key, text: str) -> Event:
        """Return a delta of the block."""
        index, kind = key
        delta = {"type": kind, _DELTA_NAMES[str(kind)]: text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def passed(self, key: Key, text: str) -> None:
        """Note nothing: no later event repeats a text."""

    def number(self, event: Event) -> None:
        """Leave an event as it is."""

    def end(self) -> Iterator[Event | bytes]:
        """Yield the ends of the open blocks and of the message, with the stop reason of a refusal."""
        for index in self._open:
            yield {"type": "content_block_stop", "index": index}
        delta = {"stop_reason": "refusal", "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": self._usage}
        yield {"type": "message_stop"}


class ResponsesForm:
    """Events of responses (OpenAI's API reference, "Streaming events")."""

    _PLACE = ("item_id", "output_index", "content_index", "summary_index")

    def __init__(self) -> None:
        self._next = 0
        self._response: Event = {}
        self._items: dict[int, Event] = {}
        self._parts: dict[tuple[int, int], Event] = {}
        self._events: dict[Key, Event] = {}

    def begin(self, event: Event) -> None:
        """Note the response, its items and parts as they begin and end."""
        kind, output = event.get("type", ""), event.get("output_index", 0)
        if isinstance(event.get("response"), dict):
            self._response = {**event["response"]}
        if kind in {"response.output_item.added", "response.output_item.done"} and isinstance(event.get("item"), dict):
            self._items[output] = copy.deepcopy(event["item"])
        if kind == "response.content_part.added" and isinstance(event.get("part"), dict):
            self._parts[output, event.get("content_index", 0)] = {**event["part"], "text": ""}
        if kind == "response.content_part.done":
            self._parts.pop((output, event.get("content_index", 0)), None)

    def deltas(self, event: Event) -> Iterator[Delta]:
        """Yield the piece of a text or of arguments."""
        kind = str(event.get("type"))
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            key = self._key(event)
            self._events[key] = {name: value for name, value in event.items() if name not in {"delta", "logprobs"}}
            yield Delta(key, event, "delta", in_json="arguments" in kind)

    def wholes(self, event: Event) -> Iterator[tuple[Any, Any, bool]]:
        """Yield the texts that an event repeats whole: of a text, a part, an item, or the response."""
        if not str(event.get("type")).endswith(".delta"):
            yield from texts_in({name: event[name] for name in ("item", "part") if name in event})
            yield from texts_in((event.get("response") or {}).get("output"))
            for name in ("text", "refusal", "arguments", "input", "code", "transcript"):
                if isinstance(event.get(name), str):
                    yield event, name, name == "arguments"

    def ends_texts(self, event: Event) -> list[Key]:
        """Return the text that ends, or all of them with the response."""
        kind = str(event.get("type"))
        if kind in {"response.completed", "response.incomplete", "response.failed", "response.output_item.done"}:
            return [()]
        return [self._key(event)] if kind.endswith(".done") else []

    def _key(self, event: Event) -> Key:
        kind = str(event.get("type")).removesuffix(".delta").removesuffix(".done")
        return (*(event.get(name) for name in self._PLACE), kind)

    def rest(self, key: Key, text: str) -> Event:
        """Return a delta like those before it."""
        event = self._events[key] | {"delta": text}
        return event | ({"logprobs": []} if key[-1] == "response.output_text" else {})

    def passed(self, key: Key, text: str) -> None:
        """Note what was passed on of a part, for an early end."""
        event = self._events[key]
        part = self._parts.get((event.get("output_index", 0), event.get("content_index", 0)))
        if part is not None:
            part["text"] += text

    def number(self, event: Event) -> None:
        """Number the events, of which some are more than the upstream sent."""
        if "sequence_number" in event:
            event["sequence_number"] = self._next
            self._next += 1

    def end(self) -> Iterator[Event | bytes]:
        """Yield the ends of the open parts and items, and of an incomplete response."""
        for (output, content), part in self._parts.items():
            item = self._items.get(output, {})
            place = {"item_id": item.get("id"), "output_index": output, "content_index": content, "sequence_number": 0}
            whole = part
            if part.get("type") == "refusal":
                whole = {"type": "refusal", "refusal": part["text"]}
                yield {"type": "response.refusal.done", **place, "refusal": part["text"]}
            elif part.get("type") == "output_text":
                yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **place, "part": whole}
            item["content"] = [*(item.get("content") or []), whole]
        for output, item in self._items.items():
            if item.get("status") == "in_progress":
                item["status"] = "incomplete"
                yield {
                    "type": "response.output_item.done",
                    "output_index": output,
                    "item": item,
                    "sequence_number": 0,
                }
        output_items = [self._items[output] for output in sorted(self._items)]
        details = {"reason": "content_filter"}
        response = self._response | {"status": "incomplete", "incomplete_details": details, "output": output_items}
        yield {"type": "response.incomplete", "response": response, "sequence_number": 0}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


_FORMS: dict[str, type[StreamForm]] = {"chat": ChatForm, "messages": MessagesForm, "responses": ResponsesForm}


def stream_form(dialect: str) -> StreamForm:
    """Return the form of a stream in a dialect."""
    return _FORMS[dialect]()
