"""What two HTTP parsers could read differently: refused, and nothing after it is taken for a request."""

import json

import pytest

from obscura.cli.request_head import MAX_FIELD_LINES, MAX_HEAD_BYTES
from tests.support.gateway import Gateway
from tests.support.raw_http import CHAT, CHUNKED, FREE, HEALTH, chunked, head, length, raw_client

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LENGTH = length()

BODIES = {
    "gzip and chunked": head(b"Transfer-Encoding: gzip, chunked\r\n") + chunked(),
    "chunked twice in a line": head(b"Transfer-Encoding: chunked, chunked\r\n") + chunked(),
    "chunked in two lines": head(CHUNKED, CHUNKED) + chunked(),
    "another coding": head(b"Transfer-Encoding: xchunked\r\n") + chunked(),
    "a coding behind a control character": head(b"Transfer-Encoding: \x0bchunked\r\n") + chunked(),
    "identity": head(b"Transfer-Encoding: identity\r\n", LENGTH) + CHAT,
    "chunked in HTTP/1.0": head(CHUNKED, version=b"1.0") + chunked(),
    "chunked and a length": head(CHUNKED, LENGTH) + chunked(),
    "a length and chunked": head(LENGTH, CHUNKED) + chunked(),
    "two lengths": head(LENGTH, b"Content-Length: 5\r\n") + CHAT,
    "one length twice": head(LENGTH, LENGTH) + CHAT,
    "a list of lengths": head(b"Content-Length: 5, 5\r\n") + b"hello",
    "a signed length": head(b"Content-Length: +5\r\n") + b"hello",
    "a negative length": head(b"Content-Length: -1\r\n"),
    "a length past 64 bits": head(b"Content-Length: 99999999999999999999999\r\n"),
    "a length in hexadecimal": head(b"Content-Length: 0x5\r\n") + b"hello",
    "an empty length": head(b"Content-Length:\r\n"),
    "a negative chunk": head(CHUNKED) + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk past 64 bits": head(CHUNKED) + b"1" + b"0" * 16 + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk's size with 0x": head(CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk's size and a space": head(CHUNKED) + b"5 \r\nhello\r\n0\r\n\r\n",
    "a chunk without a size": head(CHUNKED) + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk's size and a bare LF": head(CHUNKED) + b"5\nhello\r\n0\r\n\r\n",
    "an extension with a bare LF": head(CHUNKED) + b"5;a\nhello\r\n0\r\n\r\n",
    "more than the chunk's size": head(CHUNKED) + b"5\r\nhello!\r\n0\r\n\r\n",
    "an endless extension": head(CHUNKED) + b"5;" + b"a" * 2 * MAX_HEAD_BYTES,
    "endless trailers": head(CHUNKED) + b"0\r\n" + b"a: b\r\n" * (MAX_FIELD_LINES + 1),
}
HEADS = {
    "no Host": head(LENGTH, host=b"") + CHAT,
    "two Hosts": head(LENGTH, host=b"Host: x\r\nHost: y\r\n") + CHAT,
    "one Host twice": head(LENGTH, host=b"Host: x\r\nHost: x\r\n") + CHAT,
    "two Hosts in HTTP/1.0": head(LENGTH, host=b"Host: x\r\nHost: y\r\n", version=b"1.0") + CHAT,
    "a list of Hosts": head(LENGTH, host=b"Host: x, y\r\n") + CHAT,
    "a Host with a path": head(LENGTH, host=b"Host: x/v1\r\n") + CHAT,
    "a Host with a user": head(LENGTH, host=b"Host: u@x\r\n") + CHAT,
    "a target of another host": head(LENGTH, target=b"http://y/v1/chat/completions") + CHAT,
    "a target of a user": head(LENGTH, target=b"http://u@x/v1/chat/completions") + CHAT,
    "a target of another scheme": head(LENGTH, target=b"ftp://x/v1/chat/completions") + CHAT,
    "a target without a path": head(LENGTH, target=b"http://x") + CHAT,
    "a target with a fragment": head(LENGTH, target=b"/v1/chat/completions#a") + CHAT,
    "a target with NUL": head(LENGTH, target=b"/v1/chat/completions\0") + CHAT,
    "a target that is not ASCII": head(LENGTH, target=b"/v1/\xc3\xa9") + CHAT,
    "two spaces before the target": head(LENGTH, target=b" /v1/chat/completions") + CHAT,
    "a tab before the target": (head(LENGTH) + CHAT).replace(b"POST ", b"POST\t", 1),
    "a method in lower case": head(LENGTH, method=b"post") + CHAT,
    "CONNECT": head(LENGTH, method=b"CONNECT", target=b"x:80"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/2.0": head(LENGTH, version=b"2.0") + CHAT,
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a folded line": head(b"X-A: b\r\n c\r\n", LENGTH) + CHAT,
    "a line folded by a tab": head(b"X-A: b\r\n\tc\r\n", LENGTH) + CHAT,
    "a folded first line": head(b"X-A: b\r\n", LENGTH, host=b" X: y\r\nHost: x\r\n") + CHAT,
    "bare LFs": (head(LENGTH) + CHAT).replace(b"\r\n", b"\n"),
    "one bare LF": head(b"X-A: b\nX-B: c\r\n", LENGTH) + CHAT,
    "bare LFs before the request": b"\n\n" + head(LENGTH) + CHAT,
    "a bare CR": head(b"X-A: b\rX-B: c\r\n", LENGTH) + CHAT,
    "two CRs": head(b"X-A: b\r\r\n", LENGTH) + CHAT,
    "NUL in a value": head(b"X-A: b\0c\r\n", LENGTH) + CHAT,
    "a space before the colon": head(b"X-A : b\r\n", LENGTH) + CHAT,
    "a header without a name": head(b": b\r\n", LENGTH) + CHAT,
    "a line without a colon": head(b"nonsense\r\n", LENGTH) + CHAT,
    "many headers": head(b"a:\r\n" * MAX_FIELD_LINES, LENGTH) + CHAT,
    "a head past its limit": head(b"X-A: " + b"a" * MAX_HEAD_BYTES + b"\r\n", LENGTH) + CHAT,
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(60),
}


@pytest.mark.parametrize("request_bytes", [*BODIES.values(), *HEADS.values()], ids=[*BODIES, *HEADS])
async def test_it_gets_one_400_and_the_connection_closes(request_bytes: bytes, demo_gateway: Gateway) -> None:
    async with raw_client(demo_gateway.url) as client:
        await client.send(request_bytes.replace(b"\r\n\r\n", b"\r\n" + FREE + b"\r\n", 1) + HEALTH)
        response, rest = await client.response(), await client.rest()

    error = json.loads(response.body)["error"]
    assert (response.status, error["code"], rest) == (400, "invalid_request", b"")
    assert b"connection: close" in response.head


@pytest.mark.parametrize("first", [b"PROXY TCP4 203.0.113.1 198.51.100.1 1 2\r\n", b"PROXY UNKNOWN\r\n", V2_SIGNATURE])
@pytest.mark.parametrize("cut", [1, 5, 11, None])
async def test_proxy_protocol_is_named_in_a_400(first: bytes, cut: int | None, demo_gateway: Gateway) -> None:
    async with raw_client(demo_gateway.url) as client:
        await client.send(*filter(None, (first[:cut], first[cut:] if cut else b"", head(LENGTH) + CHAT)))
        response = await client.response()

    message = json.loads(response.body)["error"]["message"]
    assert response.status == 400
    assert "PROXY protocol" in message
    assert "OBSCURA_TRUSTED_PROXIES" in message


async def test_the_400_of_a_messages_path_is_anthropics(demo_gateway: Gateway) -> None:
    async with raw_client(demo_gateway.url) as client:
        await client.send(head(length(), host=b"", target=b"/v1/messages") + CHAT)
        response = await client.response()

    error = json.loads(response.body)
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["request_id"].encode() in response.head


@pytest.mark.parametrize(
    "target",
    [
        b"/v1%2Fchat%2fcompletions",
        b"/v1/chat%2Fcompletions",
        b"/%2Fv1/chat/completions",
        b"/v1%5Cchat%5ccompletions",
        b"/v1\\chat\\completions",
        b"/v1%252Fchat%252Fcompletions",
        b"/v1/models/..%2Fchat%2Fcompletions",
        b"/v1/../v1/chat/completions",
        b"//v1/chat/completions",
        b"/v1/chat/completions%2F",
    ],
)
async def test_encoded_slashes_and_dots_are_not_routed(target: bytes, demo_gateway: Gateway) -> None:
    async with raw_client(demo_gateway.url) as client:
        await client.send(head(FREE, LENGTH, target=target) + CHAT)

        assert (await client.response()).status in {404, 405}


async def test_the_body_of_a_split_offer_to_upgrade_is_no_second_request(demo_gateway: Gateway) -> None:
    offer = head(FREE, b"Connection: Upgrade\r\nUpgrade: h2c\r\n", length(HEALTH))
    async with raw_client(demo_gateway.url) as client:
        await client.send(offer[:60], offer[60:-20], offer[-20:], HEALTH)
        await client.send(head(FREE, LENGTH) + CHAT)

        assert json.loads((await client.response()).body)["error"]["code"] == "invalid_json"
        assert (await client.response()).status == 200


@pytest.mark.parametrize(
    "request_head",
    [
        head(FREE, LENGTH, host=b"", version=b"1.0"),
        head(FREE, LENGTH, host=b"Host:\r\n"),
        head(FREE, LENGTH, host=b"Host: [::1]:8000\r\n"),
        head(FREE, LENGTH, target=b"http://X:80/v1/chat/completions"),
        b"\r\n" + head(FREE, LENGTH),
        head(FREE, LENGTH, target=b"/v1/%63hat/completions"),
    ],
    ids=["HTTP/1.0 without Host", "empty Host", "IPv6", "absolute", "an empty line before", "an encoded letter"],
)
async def test_what_the_standard_allows_is_served(request_head: bytes, demo_gateway: Gateway) -> None:
    async with raw_client(demo_gateway.url) as client:
        await client.send(request_head + CHAT)

        assert (await client.response()).status == 200
