"""Input items as chat messages: roles, order and call ids are kept."""

import msgspec
from msgspec import Raw

from obscura.errors import InvalidRequest
from obscura.wire.fields import required_text
from obscura.wire.raw_body import Node, RawBody, RawObject, is_null, is_string, members, raw_string
from obscura.wire.responses.gathered import Gathered, Item
from obscura.wire.responses.to_chat.carrying import refuse_others, string_leaf, unsupported
from obscura.wire.responses.to_chat.content import chat_content, chat_part, is_text, text_part

_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_FIELDS = ("type", "role", "content", "id", "status", "phase")
_CALL_FIELDS = ("type", "call_id", "name", "arguments", "id", "status", "caller")
_OUTPUT_FIELDS = ("type", "call_id", "output", "id", "status", "name", "caller")
_STATEFUL = "names an item that the API would have stored; this upstream keeps none. Send the item itself"


def chat_messages(gathered: Gathered) -> list[Node]:
    """Write ``instructions`` and ``input`` as messages.

    Raises UnsupportedField for an item, a part or a field without counterpart; InvalidRequest for a malformed one.
    """
    root, conversation = gathered.body.root, _Conversation(gathered.body)
    instructions, given = root.get("instructions"), root.get("input")
    if is_string(instructions):
        conversation.say(raw_string(b"system"), instructions)
    if is_string(given):
        conversation.say(raw_string(b"user"), given)
    elif not gathered.items:
        raise InvalidRequest("'input' is required: a string, or an array of at least one item.", param="input")
    for item in gathered.items:
        conversation.take(item)
    return conversation.ended()


class _Conversation:
    """Messages under way.

    Calls join the assistant's message before them. Pictures in the outputs of functions wait until the last output of
    the run, because servers take nothing but tool messages between the calls and the last of their outputs.
    """

    def __init__(self, body: RawBody) -> None:
        self._body = body
        self._messages: list[Node] = []
        self._assistant: RawObject | None = None
        self._calls: list[Node] = []
        self._shown: list[Node] = []

    def take(self, item: Item) -> None:
        match item.kind:
            case "message":
                self._take_message(item)
            case "function_call":
                self._take_call(item)
            case "function_call_output":
                self._take_output(item)
            case "reasoning":
                """Dropped: it is the model's own, and chat completions has no place for it."""
            case "item_reference":
                raise unsupported(f"{item.path}.{'type' if 'type' in item.fields else 'id'}", _STATEFUL)
            case _:
                raise unsupported(f"{item.path}.type")

    def say(self, role: Raw, content: Node) -> RawObject:
        self._show()
        message: RawObject = {"role": role, "content": content}
        self._messages.append(message)
        self._assistant, self._calls = None, []
        return message

    def ended(self) -> list[Node]:
        self._show()
        return self._messages

    def _take_message(self, item: Item) -> None:
        refuse_others(item.fields, _MESSAGE_FIELDS, item.path)
        role = string_leaf(item.fields, "role", item.path)
        if (name := self._body.text(role)) not in _ROLES:
            raise InvalidRequest(f"'{item.path}.role' must be one of {', '.join(_ROLES)}.", param=f"{item.path}.role")
        message = self.say(role, _content(item, "content"))
        self._assistant = message if name == "assistant" else None

    def _take_call(self, item: Item) -> None:
        refuse_others(item.fields, _CALL_FIELDS, item.path)
        _refuse_programs(item, self._body)
        for key in ("call_id", "name"):
            required_text(self._body, item.fields, key, item.path)
        call: RawObject = {
            "id": item.fields["call_id"],
            "type": raw_string(b"function"),
            "function": {
                "name": item.fields["name"],
                "arguments": string_leaf(item.fields, "arguments", item.path),
            },
        }
        if self._assistant is None:
            self._assistant = self.say(raw_string(b"assistant"), Raw(b"null"))
        self._calls.append(call)
        self._assistant["tool_calls"] = self._calls

    def _take_output(self, item: Item) -> None:
        refuse_others(item.fields, _OUTPUT_FIELDS, item.path)
        _refuse_programs(item, self._body)
        call_id = required_text(self._body, item.fields, "call_id", item.path)
        texts = [part for part in item.parts or [] if is_text(part)]
        others = [part for part in item.parts or [] if not is_text(part)]
        content = _content(item, "output") if item.parts is None else chat_content(texts)
        if others:
            self._shown += [text_part(_encoded(f"From the output of call {call_id}:")), *map(chat_part, others)]
            if not texts:
                content = raw_string(b"The output follows in the next user message.")
        self._messages.append({"role": raw_string(b"tool"), "tool_call_id": item.fields["call_id"], "content": content})
        self._assistant, self._calls = None, []

    def _show(self) -> None:
        """Say what waits of the outputs' pictures and files."""
        if self._shown:
            self._messages.append({"role": raw_string(b"user"), "content": self._shown})
            self._shown = []


def _content(item: Item, key: str) -> Node:
    return string_leaf(item.fields, key, item.path) if item.parts is None else chat_content(item.parts)


def _refuse_programs(item: Item, body: RawBody) -> None:
    """A call may say who made it: the model itself, or a program of its own, which chat completions does not know."""
    path = f"{item.path}.caller"
    caller = item.fields.get("caller")
    if caller is None or is_null(caller):
        return
    if required_text(body, members(caller, path), "type", path) != "direct":
        raise unsupported(path)


def _encoded(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))
