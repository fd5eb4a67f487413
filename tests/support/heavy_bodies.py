"""Request bodies of many small things or of few large ones, of about 3 MB unless a limit ends them sooner.

Each is what costs a reader most for its bytes in one place of one of the three dialects.
"""

import json
from collections.abc import Callable, Iterator

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
SIZE_BYTES = 3_000_000
LARGE_BYTES = 20_000_000
QUOTE = '"'

type Body = Callable[[], bytes]


def repeated(piece: str, size_bytes: int = SIZE_BYTES) -> str:
    """A JSON array's elements: so many of one piece that they have ``size_bytes``."""
    return ",".join([piece] * (size_bytes // (len(piece) + 1)))


def numbered(piece: str, size_bytes: int = SIZE_BYTES) -> str:
    """An object's fields, each with a key of its own in place of ``%d``."""
    return ",".join(piece % number for number in range(size_bytes // (len(piece) + 6)))


_TURN = {
    "chat": '{"role":"user","content":"a"}',
    "messages": '{"role":"user","content":"a"}',
    "responses": '{"type":"message","role":"user","content":"a"}',
}
_TOOL = {
    "chat": '{"type":"function","function":{"name":"a"}}',
    "messages": '{"name":"a","input_schema":{"type":"object"}}',
    "responses": '{"type":"function","name":"a","parameters":{}}',
}
_PART = {
    "chat": '{"type":"text","text":"a"}',
    "messages": '{"type":"text","text":"a"}',
    "responses": '{"type":"input_text","text":"a"}',
}
_LIST = {"chat": "messages", "messages": "messages", "responses": "input"}


def body_of(dialect: str, *, turns: str | None = None, more: str = "") -> bytes:
    """A request with these turns and some more fields, each after a comma."""
    turns = _TURN[dialect] if turns is None else turns
    return f'{{"model":"m","max_tokens":9,"{_LIST[dialect]}":[{turns}]{more}}}'.replace(
        '"max_tokens":9,', '"max_tokens":9,' if dialect == "messages" else ""
    ).encode()


def with_schema(dialect: str, schema: str) -> bytes:
    """A request with one tool of this schema."""
    tool = {
        "chat": '{"type":"function","function":{"name":"a","parameters":%s}}',
        "messages": '{"name":"a","input_schema":%s}',
        "responses": '{"type":"function","name":"a","parameters":%s}',
    }[dialect]
    return body_of(dialect, more=f',"tools":[{tool % schema}]')


def with_text(dialect: str, text: str) -> bytes:
    """A request with one turn whose text is written so."""
    return body_of(dialect, turns=_TURN[dialect].replace('"a"', f'"{text}"'))


def _small_image() -> str:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    return json.dumps(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}}]},
        separators=(",", ":"),
    )


def heavy_bodies(dialect: str) -> Iterator[tuple[str, Body]]:
    """Yield a name and the maker of each body of a dialect."""
    turn, part, tool = _TURN[dialect], _PART[dialect], _TOOL[dialect]
    deep = '{"a":' * 100 + "1" + "}" * 100
    yield "turns", lambda: body_of(dialect, turns=repeated(turn))
    yield "turns of a part each", lambda: body_of(dialect, turns=repeated(turn.replace('"a"', f"[{part}]")))
    yield "9,000 turns", lambda: body_of(dialect, turns=repeated(turn, 9_000 * (len(turn) + 1)))
    yield "parts of one turn", lambda: body_of(dialect, turns=turn.replace('"a"', f"[{repeated(part)}]"))
    yield "empty turns", lambda: body_of(dialect, turns=repeated("{}"))
    yield "numbers for turns", lambda: body_of(dialect, turns=repeated("1"))
    yield "tools", lambda: body_of(dialect, more=f',"tools":[{repeated(tool)}]')
    yield "a long schema", lambda: with_schema(dialect, f'{{"enum":[{repeated(QUOTE + "a" * 5 + QUOTE)}]}}')
    yield "a schema of many keys", lambda: with_schema(dialect, f"{{{numbered(QUOTE + 'k%d' + QUOTE + ':1')}}}")
    yield "a deep schema", lambda: with_schema(dialect, f"[{repeated(deep)}]")
    yield (
        "a schema of 20 MB",
        lambda: with_schema(dialect, f'{{"enum":[{repeated(json.dumps("a b " * 20), LARGE_BYTES)}]}}'),
    )
    yield "an unknown list of numbers", lambda: body_of(dialect, more=f',"x":[{repeated("1")}]')
    yield "an unknown list of strings", lambda: body_of(dialect, more=f',"x":[{repeated(QUOTE * 2)}]')
    yield "many keys", lambda: body_of(dialect, more="," + numbered('"k%d":1'))
    yield "many keys, spaced", lambda: body_of(dialect, more=" , " + numbered('"k%d" : 1'))
    yield (
        "a key with a quote, spaced",
        lambda: body_of(dialect, more=f' , "a\\"b" : 1, "x":[{repeated("[]", LARGE_BYTES // 20)}]'),
    )
    yield (
        "metadata of many keys",
        lambda: body_of(dialect, more=f',"metadata":{{{numbered(QUOTE + "k%d" + QUOTE + ":" + QUOTE * 2)}}}'),
    )
    yield "brackets", lambda: body_of(dialect, more=f',"x":[{repeated("[" * 99 + "]" * 99, LARGE_BYTES)}]')
    most = 95_000
    yield (
        "a schema at the limit",
        lambda: with_schema(dialect, f'{{"enum":[{repeated(QUOTE + "a" * 5 + QUOTE, 8 * most)}]}}'),
    )
    yield (
        "keys of a schema at the limit",
        lambda: with_schema(dialect, f"{{{','.join(f'{QUOTE}k{number}{QUOTE}:1' for number in range(most))}}}"),
    )
    yield (
        "unknown keys at the limit",
        lambda: body_of(dialect, more="".join(f' , "k{number}" : 1' for number in range(most))),
    )
    yield (
        "metadata at the limit",
        lambda: body_of(
            dialect,
            more=f',"metadata":{{{",".join(f"{QUOTE}k{number}{QUOTE}:{QUOTE * 2}" for number in range(most))}}}',
        ),
    )
    calls = repeated('{"id":"a","type":"function","function":{"name":"a","arguments":"a"}}', 9_900 * 68)
    calling = f'{{"role":"assistant","content":"a","tool_calls":[{calls}]}}'
    yield "tool calls at the limit", lambda: body_of(dialect, turns=f"{calling},{turn}")
    yield "9,900 tools", lambda: body_of(dialect, more=f',"tools":[{repeated(tool, 9_900 * (len(tool) + 1))}]')
    yield "small images", lambda: body_of(dialect, turns=repeated(_small_image()))
    yield "a text of 20 MB", lambda: with_text(dialect, "word " * (LARGE_BYTES // 5))
    yield "an unknown text of 20 MB", lambda: body_of(dialect, more=f',"x":"{"word " * (LARGE_BYTES // 5)}"')
    yield (
        "texts of 4,000 characters",
        lambda: body_of(dialect, turns=repeated(turn.replace('"a"', f'"{"word " * 800}"'), LARGE_BYTES)),
    )
    yield "escapes", lambda: with_text(dialect, "\\n" * (LARGE_BYTES // 2))
    yield "escaped quotes", lambda: with_text(dialect, '\\"' * (LARGE_BYTES // 2))
    yield "escaped letters", lambda: with_text(dialect, "\\u0061" * (LARGE_BYTES // 6))
    yield "surrogates", lambda: with_text(dialect, "\\ud83d\\ude00" * (LARGE_BYTES // 12))
    yield "halves of surrogates", lambda: with_text(dialect, "\\ud83d" * (LARGE_BYTES // 6))
    yield "backslashes", lambda: with_text(dialect, "\\\\" * (LARGE_BYTES // 2))
    yield "a text under the limit", lambda: with_text(dialect, "word " * 700_000)
    yield "a text of 60 KB", lambda: with_text(dialect, "word " * 12_000)
    yield "an unknown text of 120 KB", lambda: body_of(dialect, more=f',"x":"{"word " * 24_000}"')
    yield "800 turns", lambda: body_of(dialect, turns=repeated(turn, 800 * (len(turn) + 1)))
    yield (
        "an image of 10 MB that is none",
        lambda: with_text(dialect, "a").replace(b'"content":"a"', b'"content":[%b]' % _huge_image(dialect)),
    )


def _huge_image(dialect: str) -> bytes:
    data = b"iVBORw0KGgo" + b"A" * 10_000_000
    return {
        "chat": b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}',
        "messages": b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%b"}}',
        "responses": b'{"type":"input_image","image_url":"data:image/png;base64,%b"}',
    }[dialect] % data
