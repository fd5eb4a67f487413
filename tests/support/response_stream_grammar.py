"""The grammar of a streamed response (OpenAI's API reference, "Streaming events"), checked event by event.

    stream  = created in_progress item* (completed | incomplete | failed error)
    item    = output_item.added (part* | arguments.delta* arguments.done) output_item.done     (calls interleave)
    part    = content_part.added delta* done content_part.done

Sequence numbers and indexes count from 0; a done event has the text of its deltas; the last response has the items of
their done events.
"""

import json
from dataclasses import dataclass, field

STREAM_END = b"data: [DONE]\n\n"
LAST = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
TEXT_KEYS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
PARTS_OF: dict[str, set[str]] = {
    "message": {"output_text", "refusal"},
    "reasoning": {"reasoning_text"},
    "function_call": set(),
}


def events_of(stream: bytes) -> list[dict]:
    """Parse the events of a stream: a name, one line of data, a blank line; its end, if it is there, is no event."""
    assert not stream or stream.endswith(b"\n\n")
    return [_event(block) for block in stream.removesuffix(STREAM_END).decode().split("\n\n")[:-1]]


def _event(block: str) -> dict:
    name, data = block.split("\n")
    event = json.loads(data.removeprefix("data: "))
    assert name == f"event: {event['type']}"
    return event


@dataclass
class OpenItem:
    """An item that was added and is not done: its finished parts, and the open part or arguments."""

    added: dict
    parts: list[dict] = field(default_factory=list)
    part_kind: str | None = None
    text: str = ""
    final_text: str | None = None


class ResponseStreamGrammar:
    """Checks the events of one stream; an event that breaks the grammar fails an assertion."""

    def __init__(self) -> None:
        self.count = 0
        self.first: dict | None = None
        self.last: dict | None = None
        self.error: dict | None = None
        self.items: list[OpenItem] = []
        self.done: dict[int, dict] = {}

    def take(self, event: dict) -> None:
        assert event["sequence_number"] == self.count
        self.count += 1
        kind = event["type"]
        if self.count <= 2:
            self._take_begin(event, "response.created" if self.count == 1 else "response.in_progress")
        elif self.last is not None:
            assert (kind, self.last["status"], self.error) == ("error", "failed", None)
            self.error = event
        elif kind in LAST:
            self._take_last(event)
        elif kind == "response.output_item.added":
            self._take_item(event)
        else:
            self._take_in_item(event, kind.removeprefix("response."))

    def check_end(self) -> None:
        """Assert that the stream may end here: after its last response, and after the error if it failed."""
        assert self.last is not None
        assert (self.error is not None) == (self.last["status"] == "failed")

    def _take_begin(self, event: dict, kind: str) -> None:
        assert event["type"] == kind
        response = event["response"]
        assert (response["status"], response["output"], response["completed_at"]) == ("in_progress", [], None)
        assert "usage" not in response
        assert self.first is None or self.first == response
        self.first = response

    def _take_last(self, event: dict) -> None:
        response = event["response"]
        assert self.first is not None
        assert response["status"] == LAST[event["type"]]
        assert response["output"] == [self.done[index] for index in range(len(self.items))]
        assert {key for key in response if response[key] != self.first.get(key)} <= {
            "status", "output", "usage", "completed_at", "incomplete_details", "error",
        }  # fmt: skip
        assert (response["completed_at"] is not None) == (response["status"] == "completed")
        assert (response["incomplete_details"] is not None) == (response["status"] == "incomplete")
        assert (response["error"] is not None) == (response["status"] == "failed")
        self.last = response

    def _take_item(self, event: dict) -> None:
        item = event["item"]
        assert event["output_index"] == len(self.items)
        assert item["status"] == "in_progress"
        assert item["id"] not in {opened.added["id"] for opened in self.items}
        assert item["arguments"] == "" if item["type"] == "function_call" else item["content"] == []
        self.items.append(OpenItem(item))

    def _take_in_item(self, event: dict, kind: str) -> None:
        index = event["output_index"]
        opened = self.items[index]
        assert index not in self.done
        if kind == "output_item.done":
            self._take_item_done(event["item"], opened, index)
            return
        assert event["item_id"] == opened.added["id"]
        if kind.startswith("function_call_arguments."):
            self._take_arguments(event, kind, opened)
        else:
            assert event["content_index"] == len(opened.parts)
            self._take_in_part(event, kind, opened)

    def _take_arguments(self, event: dict, kind: str, opened: OpenItem) -> None:
        assert opened.added["type"] == "function_call"
        assert opened.final_text is None
        if kind == "function_call_arguments.delta":
            assert event["delta"]
            opened.text += event["delta"]
        else:
            assert kind == "function_call_arguments.done"
            assert (event["arguments"], event["name"]) == (opened.text, opened.added["name"])
            opened.final_text = opened.text

    def _take_in_part(self, event: dict, kind: str, opened: OpenItem) -> None:
        if kind == "content_part.added":
            part = event["part"]
            assert opened.part_kind is None
            assert part["type"] in PARTS_OF[opened.added["type"]]
            assert part[TEXT_KEYS[part["type"]]] == ""
            opened.part_kind, opened.text, opened.final_text = part["type"], "", None
        elif kind == "content_part.done":
            part = event["part"]
            assert part["type"] == opened.part_kind
            assert part[TEXT_KEYS[part["type"]]] == opened.final_text
            opened.parts.append(part)
            opened.part_kind = None
        elif kind == f"{opened.part_kind}.delta":
            assert opened.final_text is None
            assert event["delta"]
            opened.text += event["delta"]
        else:
            assert opened.part_kind is not None
            assert kind == f"{opened.part_kind}.done"
            assert opened.final_text is None
            assert event[TEXT_KEYS[opened.part_kind]] == opened.text
            opened.final_text = opened.text

    def _take_item_done(self, item: dict, opened: OpenItem, index: int) -> None:
        content = {"arguments": opened.final_text} if item["type"] == "function_call" else {"content": opened.parts}
        assert opened.part_kind is None
        assert item["status"] in {"completed", "incomplete"}
        assert item == opened.added | content | {"status": item["status"]}
        self.done[index] = item


def checked(stream: bytes, complete: bool = True) -> list[dict]:
    """Return the events of a stream that keeps to the grammar; one that is not ``complete`` may stop anywhere."""
    grammar = ResponseStreamGrammar()
    events = events_of(stream)
    for event in events:
        grammar.take(event)
    if complete:
        grammar.check_end()
    return events
