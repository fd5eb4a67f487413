"""A turn of a conversation that is stored here: what a request names is put in its place, and its answer is kept.

``pipeline.handle_stored`` is the sequence around it, ``pipeline.stored_answer`` keeps the answer (ADR 130).

What is read from the store is text and images of the request from there on: it is parsed, limited and moderated
again like all others.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from msgspec import Raw

from obscura.auth.access import Principal
from obscura.dialects.json.raw import FALSE, RawJson, is_array, is_null, is_string, open_array
from obscura.errors import (
    InvalidRequest,
    ObscuraError,
    RequestTooLarge,
    ResponseNotFound,
    TooManyItems,
    UnsupportedOperation,
)
from obscura.execution import run_off_loop
from obscura.files.responses import (
    ResponseStore,
    load_items,
    load_response,
    require_own_responses,
    response_not_found,
)
from obscura.memory_budget import request_memory
from obscura.pipeline.read_body import OFF_LOOP_BYTES, OFF_LOOP_VALUES, ParsedBody, read_and_parse
from obscura.pipeline.request import GatewayRequest
from obscura.pipeline.services import Services

PREVIOUS = "previous_response_id"
MAX_REFERENCES = 1_000
"""Of one request: each may take a read of the store."""

_ITEM_PATH = re.compile(r"input\[([0-9]{1,9})\]")


@dataclass(slots=True)
class StoredTurn:
    """What a request has to do with the store.

    previous_id   the response that it continues, None without one
    missing       the error if it names what is not stored here, unless the upstream may know it
    inserted      how many items stand before the request's own
    input         the items that the model is given, as JSON, if the answer is to be stored
    stores        whether the route stores answers: those under /policy do not
    """

    principal: Principal | None = None
    previous_id: str | None = None
    missing: ObscuraError | None = None
    inserted: int = 0
    own_text: bool = False
    input: bytes | None = None
    stores: bool = True

    def require_found(self, *, upstream_may_know: bool) -> None:
        """Raise ResponseNotFound if the request names what is not stored here, unless the upstream may know it."""
        if self.missing is not None and not upstream_may_know:
            raise self.missing

    def has(self, path: str) -> bool:
        """Whether a path is in the items of the response that the request continues."""
        item = _ITEM_PATH.match(path)
        return item is not None and int(item[1]) < self.inserted

    def at_own_path(self, error: ObscuraError) -> ObscuraError:
        """Return the error with the path of the caller's own body: the items before its own are of ``previous_id``."""
        item = _ITEM_PATH.match(error.param or "")
        if not self.inserted or item is None or error.param is None:
            return error
        index = int(item[1]) - self.inserted
        own = PREVIOUS if index < 0 else "input" if self.own_text else f"input[{index}]{error.param[item.end() :]}"
        moved = error.at(own)
        moved.message = error.message.replace(error.param, own)
        return moved


async def read_stored_turn[P](
    request: GatewayRequest,
    principal: Principal,
    services: Services,
    store: ResponseStore,
    parse: Callable[[RawJson], P],
) -> tuple[ParsedBody[P], StoredTurn]:
    """Read and parse a body in which what is stored stands in the place of its id.

    Raises what ``read_and_parse`` raises, RetentionConflict, MissingCredentials. What is not found is noted in the
    turn: the operator may have allowed ids of the upstream's.
    """
    turn, limits = request.stored_turn or StoredTurn(), services.limits
    read = await read_and_parse(request, limits.body_bytes, limits.content.items, lambda body: body)
    body, is_large = read.parsed, read.is_large
    turn.principal = principal
    if await _insert_stored(body, turn, services, store, is_large=is_large):
        rendered = await run_off_loop(body.render, off_loop=is_large)
        if len(rendered) > limits.body_bytes:
            raise _too_large(len(rendered), limits.body_bytes)
        is_large = is_large or len(rendered) > OFF_LOOP_BYTES
        body = await run_off_loop(lambda: RawJson(rendered, limits.content.items), off_loop=is_large)
        is_large = is_large or body.values > OFF_LOOP_VALUES
    if turn.missing is None and _is_to_be_stored(body, principal):
        if not turn.stores and not is_null(body.root.get("store")):
            raise UnsupportedOperation(
                "Answers under /policy are not stored. Send store: false, or nothing, and the whole conversation as "
                "'input'.",
                param="store",
            )
        body.root["store"] = FALSE  # the upstream keeps nothing: what is kept is here
        if turn.stores and request.stored_turn is not None:
            own = await run_off_loop(partial(_input_of, body), off_loop=is_large)
            await request_memory().add(len(own))
            turn.input = own
    return ParsedBody(await run_off_loop(lambda: parse(body), off_loop=is_large), is_large), turn


def _is_to_be_stored(body: RawJson, principal: Principal) -> bool:
    """Whether the answer is stored: by default, for a project, and if the upstream does not run it by itself."""
    if principal.anonymous or principal.zero_retention or "input" not in body.root:
        return False
    if not is_null(body.root.get("conversation")):  # the upstream's: the input is not all that the model is given
        return False
    switches = {key: body.root.get(key) for key in ("store", "background")}
    store, background = (None if is_null(leaf) else bytes(msgspec.json.encode(leaf)) for leaf in switches.values())
    return store in {None, b"true"} and background in {None, b"false"}


def _input_of(body: RawJson) -> bytes:
    """Return the input as a list of items."""
    leaf = body.root["input"]
    items = open_array(leaf, "input") if is_array(leaf) else [_message(leaf)] if is_string(leaf) else []
    return body.render({"items": list(items)})[len(b'{"items":') : -1]


def _message(text: Raw) -> Raw:
    return Raw(b'{"type":"message","role":"user","content":%b}' % bytes(text))


async def _insert_stored(
    body: RawJson, turn: StoredTurn, services: Services, store: ResponseStore, *, is_large: bool
) -> bool:
    """Write what is named into the body's tree; whether there was anything, and all of it was found."""
    root, at, principal = body.root, services.clock.now(), turn.principal
    previous, leaf = root.get(PREVIOUS), root.get("input")
    if not is_null(previous) and not is_string(previous):
        raise InvalidRequest(f"'{PREVIOUS}' must be a string.", param=PREVIOUS)
    if not is_null(leaf) and not is_array(leaf) and not is_string(leaf):
        raise InvalidRequest("'input' must be a string or an array of items.", param="input")
    own = open_array(leaf, "input") if is_array(leaf) else [_message(leaf)] if is_string(leaf) else []
    named = await run_off_loop(partial(_references, own), off_loop=is_large)
    if principal is None or not (is_string(previous) or named):
        return False
    require_own_responses(principal, PREVIOUS if is_string(previous) else f"input[{min(named)}].id")
    if len(named) > MAX_REFERENCES:
        raise TooManyItems(
            f"The input has {len(named):,} references to stored items; the limit is {MAX_REFERENCES:,}. Continue the "
            "last response by its previous_response_id, or send the items themselves.",
            param="input",
        )
    found = await load_items(list(named.values()), principal, store, at)
    for index, name in named.items():
        if name not in found:
            turn.missing = response_not_found(f"input[{index}].id")
            return False
    history: list[Raw] = []
    if is_string(previous):
        turn.previous_id = body.text(previous)
        try:
            stored = await load_response(turn.previous_id, principal, store, at)
        except ResponseNotFound:
            turn.missing = response_not_found(PREVIOUS)
            return False
        history = [item for item in (*stored.input, *stored.output) if _stands_alone(item)]
        root.pop(PREVIOUS)
        turn.inserted, turn.own_text = len(history), is_string(leaf)
    items = [found[named[index]] if index in named else item for index, item in enumerate(own)]
    items = [item for index, item in enumerate(items) if index not in named or _stands_alone(item)]
    inserted_bytes = sum(memoryview(item).nbytes for item in (*history, *items))
    # Before anything is written: a thousand references may name one long item.
    if inserted_bytes > services.limits.body_bytes:
        raise _too_large(inserted_bytes, services.limits.body_bytes)
    await request_memory().add(inserted_bytes)
    root["input"] = [*history, *items]
    return True


def _too_large(size_bytes: int, max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"With what is stored of the conversation the request has {size_bytes:,} bytes; the limit is {max_bytes:,}. "
        "Begin a new conversation with its summary."
    )


class _Head(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    encrypted_content: Raw | None = None


_heads = msgspec.json.Decoder(_Head)


def _head(item: Raw) -> _Head | None:
    try:
        return _heads.decode(item)
    except msgspec.DecodeError:
        return None


def _references(items: Sequence[Raw]) -> dict[int, str]:
    """Return the ids that items name by their places: an item without a type and a role is a reference, too."""
    named = {}
    for index, item in enumerate(items):
        head = _head(item) if memoryview(item).nbytes <= MAX_REFERENCE_BYTES else None
        if head and head.id and (head.type == "item_reference" or (head.type is None and head.role is None)):
            named[index] = head.id
    return named


MAX_REFERENCE_BYTES = 1024
"""Of an item that only names another."""


def _stands_alone(item: Raw) -> bool:
    """Whether an item says anything to a model that has not kept it: reasoning does by its encrypted content alone."""
    head = _head(item)
    return (
        head is None or head.type != "reasoning" or bool(head.encrypted_content and head.encrypted_content != b"null")
    )
