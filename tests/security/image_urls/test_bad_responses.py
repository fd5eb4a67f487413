"""Hosts that are slow, or whose responses are endless, false or malformed."""

import asyncio
import gzip
import time
import zlib

import pytest

from obscura.errors import ImageFetchFailed, ImageTooLarge
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.hosts import IMAGE, Script, a_response, image_host, repeating, responding, stalling_after

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = 1 << 20

GOOD = {
    "Content-Length": responding(a_response()),
    "chunked": responding(
        CHUNKED + b"5\r\n" + IMAGE[:5] + b"\r\n%x\r\n" % (len(IMAGE) - 5) + IMAGE[5:] + b"\r\n0\r\n\r\n"
    ),
    "until close": responding(HEAD + b"\r\n" + IMAGE),
    "HTTP/1.0": responding(b"HTTP/1.0 200 OK\r\n\r\n" + IMAGE),
    "gzip": responding(a_response(gzip.compress(IMAGE), headers=["Content-Encoding: gzip"])),
    "deflate": responding(a_response(zlib.compress(IMAGE), headers=["Content-Encoding: deflate"])),
    "early hints": responding(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + a_response()),
    "more than Content-Length": responding(a_response() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    "any type": responding(a_response(headers=["Content-Type: text/html"])),
}

FAILED: dict[str, tuple[Script, str]] = {
    "404": (responding(a_response(b"no", "404 Not Found")), "404"),
    "500": (responding(a_response(b"no", "500 Oops")), "500"),
    "204": (responding(HEAD.replace(b"200 OK", b"204 No Content") + b"\r\n"), "204"),
    "206": (responding(a_response(status="206 Partial Content")), "206"),
    "101": (responding(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), "not HTTP"),
    "empty": (responding(a_response(b"")), "empty"),
    "empty until close": (responding(HEAD + b"\r\n"), "empty"),
    "immediate close": (responding(b""), "broke off"),
    "close inside the head": (responding(HEAD + b"Content-Le"), "broke off"),
    "less than Content-Length": (responding(a_response(headers=["Content-Length: 1000"])), "broke off"),
    "close inside a chunk": (responding(CHUNKED + b"ff\r\nabc"), "broke off"),
    "close between chunks": (responding(CHUNKED + b"3\r\nabc\r\n"), "broke off"),
    "garbage chunk size": (responding(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n"), "not HTTP"),
    "garbage status line": (responding(b"\x00\xff\x13garbage\r\n\r\n"), "not HTTP"),
    "garbage version": (responding(b"HTTP/one 200 OK\r\n\r\nabc"), "not HTTP"),
    "garbage status": (responding(b"HTTP/1.1 OK\r\n\r\nabc"), "not HTTP"),
    "bare image": (responding(IMAGE), "not HTTP"),
    "another protocol": (responding(b"220 ftp.example ready\r\n"), "not HTTP"),
    "two lengths": (responding(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "not HTTP"),
    "negative length": (responding(HEAD + b"Content-Length: -3\r\n\r\nabc"), "not HTTP"),
    "folded header": (responding(HEAD + b" folded\r\n\r\n"), "not HTTP"),
    "header without colon": (responding(HEAD + b"nonsense\r\n\r\nabc"), "not HTTP"),
    "NUL in a header": (responding(HEAD + b"A: \x00\r\n\r\nabc"), "not HTTP"),
    "unknown transfer coding": (
        responding(HEAD + b"Transfer-Encoding: gzip\r\n\r\nabc"),
        "could not be fetched|not HTTP",
    ),
    "endless headers": (repeating(HEAD, b"X-Filler: " + b"a" * 4000 + b"\r\n"), "not HTTP"),
    "endless header": (repeating(HEAD + b"X-Filler: ", b"a" * 4000), "not HTTP"),
    "brotli": (responding(a_response(headers=["Content-Encoding: br"])), "Content-Encoding"),
    "two encodings": (
        responding(a_response(headers=["Content-Encoding: gzip", "Content-Encoding: gzip"])),
        "Content-Encoding",
    ),
    "false gzip": (responding(a_response(headers=["Content-Encoding: gzip"])), "gzip"),
    "cut gzip": (responding(a_response(gzip.compress(IMAGE)[:-4], headers=["Content-Encoding: gzip"])), "breaks off"),
}

TOO_LARGE = {
    "declared": stalling_after(HEAD + b"Content-Length: 1048577\r\n\r\n"),
    "declared absurdly": stalling_after(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "until close": repeating(HEAD + b"\r\n", bytes(65536)),
    "chunked": repeating(CHUNKED, b"10000\r\n" + bytes(65536) + b"\r\n"),
    "one huge chunk": repeating(CHUNKED + b"ffffffffff\r\n", bytes(65536)),
    "gzip bomb": responding(a_response(gzip.compress(bytes(64 * MEBIBYTE)), headers=["Content-Encoding: gzip"])),
    "deflate bomb": responding(a_response(zlib.compress(bytes(64 * MEBIBYTE)), headers=["Content-Encoding: deflate"])),
    "false small length with gzip": responding(
        a_response(gzip.compress(bytes(2 * MEBIBYTE)), headers=["Content-Encoding: gzip", "X-Original-Length: 5"])
    ),
}

TOO_SLOW = {
    "silence": stalling_after(b""),
    "silence in the head": stalling_after(HEAD),
    "silence in the body": stalling_after(HEAD + b"Content-Length: 1000\r\n\r\nabc"),
    "a slow head": repeating(HEAD + b"X-Filler: ", b"a", 0.02),
    "a slow body": repeating(HEAD + b"Content-Length: 1000000\r\n\r\n", b"a", 0.02),
    "slow chunks": repeating(CHUNKED, b"1\r\na\r\n", 0.02),
    "a slow chunk extension": repeating(CHUNKED + b"1;", b"a", 0.02),
    "endless early hints": repeating(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001),
}


@pytest.mark.parametrize("script", GOOD.values(), ids=GOOD.keys())
async def test_an_image_is_fetched_in_any_framing(script: Script) -> None:
    async with image_host(script) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE
        assert await images.fetch(host.url) == IMAGE

        await images.aclose()


@pytest.mark.parametrize(("script", "reason"), FAILED.values(), ids=FAILED.keys())
async def test_a_bad_response_is_a_failed_fetch_with_its_reason(script: Script, reason: str) -> None:
    async with image_host(script) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match=reason) as failed:
            await images.fetch(host.url)

        await images.aclose()
        await host.all_closed.wait()
    assert "secret" not in failed.value.message
    assert "base64 data URL" in failed.value.message
    assert failed.value.__context__ is None


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_an_image_over_the_limit_is_cut_off(script: Script) -> None:
    async with image_host(script) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        with pytest.raises(ImageTooLarge, match="more than 1 MiB, the limit; send a smaller image"):
            await images.fetch(host.url)

        await images.aclose()
        await host.all_closed.wait()


@pytest.mark.parametrize("script", TOO_SLOW.values(), ids=TOO_SLOW.keys())
async def test_a_slow_host_is_abandoned_in_time_and_disconnected(script: Script) -> None:
    async with image_host(script) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=0.3), allowed_origins=[host.origin])
        started = time.monotonic()

        with pytest.raises(ImageFetchFailed, match=r"longer than 0\.3 s in all, the limit"):
            await images.fetch(host.url)

        assert time.monotonic() - started < 2
        await images.aclose()
        await host.all_closed.wait()


async def test_redirects_do_not_extend_the_time_limit() -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(a_response(b"", "302 Found", ["Location: /on"]))

    async with image_host(script) as host:
        images = GuardedFetcher(FetchLimits(seconds=0.3), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match=r"longer than 0\.3 s"):
            await images.fetch(host.url)

        await images.aclose()


async def test_a_resolver_that_never_responds_is_abandoned_in_time() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    images = GuardedFetcher(FetchLimits(seconds=0.1), resolve=resolve)

    with pytest.raises(ImageFetchFailed, match=r"longer than 0\.1 s"):
        await images.fetch("https://images.example/a.png")

    await images.aclose()


async def test_a_refused_connection_is_a_failed_fetch() -> None:
    async with image_host(responding(b"")) as gone:
        pass
    images = GuardedFetcher(FetchLimits(), allowed_origins=[gone.origin])

    with pytest.raises(ImageFetchFailed, match="could not be reached"):
        await images.fetch(gone.url)

    await images.aclose()


async def test_a_fetch_cancelled_at_any_step_closes_its_connection() -> None:
    async with image_host(stalling_after(HEAD + b"Content-Length: 1000\r\n\r\nabc")) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        for steps in range(40):
            fetching = asyncio.create_task(images.fetch(host.url))
            for _ in range(steps):
                await asyncio.sleep(0)
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching

        await images.aclose()
        assert host.connections > 10
        await host.all_closed.wait()


async def test_concurrent_fetches_each_return_their_own_image() -> None:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(a_response(host.requests[-1].split()[1]))

    async with image_host(script) as host:
        fetcher = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        images = await asyncio.gather(*(fetcher.fetch(f"{host.origin}/{number}") for number in range(150)))

        await fetcher.aclose()
    assert images == [f"/{number}".encode() for number in range(150)]
