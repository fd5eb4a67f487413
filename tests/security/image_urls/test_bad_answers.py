"""Hosts that are slow, endless, lying or talking nonsense."""

import asyncio
import gzip
import time
import zlib

import pytest

from obscura.errors import ImageFetchFailed, ImageTooLarge
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.hosts import IMAGE, Talk, a_host, an_answer, endlessly, saying, then_silence

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = 1 << 20

GOOD = {
    "Content-Length": saying(an_answer()),
    "chunked": saying(CHUNKED + b"5\r\n" + IMAGE[:5] + b"\r\n%x\r\n" % (len(IMAGE) - 5) + IMAGE[5:] + b"\r\n0\r\n\r\n"),
    "until close": saying(HEAD + b"\r\n" + IMAGE),
    "HTTP/1.0": saying(b"HTTP/1.0 200 OK\r\n\r\n" + IMAGE),
    "gzip": saying(an_answer(gzip.compress(IMAGE), headers=["Content-Encoding: gzip"])),
    "deflate": saying(an_answer(zlib.compress(IMAGE), headers=["Content-Encoding: deflate"])),
    "early hints": saying(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + an_answer()),
    "more than Content-Length": saying(an_answer() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    "any type": saying(an_answer(headers=["Content-Type: text/html"])),
}

FAILED: dict[str, tuple[Talk, str]] = {
    "404": (saying(an_answer(b"no", "404 Not Found")), "404"),
    "500": (saying(an_answer(b"no", "500 Oops")), "500"),
    "204": (saying(HEAD.replace(b"200 OK", b"204 No Content") + b"\r\n"), "204"),
    "206": (saying(an_answer(status="206 Partial Content")), "206"),
    "101": (saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), "not HTTP"),
    "empty": (saying(an_answer(b"")), "empty"),
    "empty until close": (saying(HEAD + b"\r\n"), "empty"),
    "immediate close": (saying(b""), "broke off"),
    "close inside the head": (saying(HEAD + b"Content-Le"), "broke off"),
    "less than Content-Length": (saying(an_answer(headers=["Content-Length: 1000"])), "broke off"),
    "close inside a chunk": (saying(CHUNKED + b"ff\r\nabc"), "broke off"),
    "close between chunks": (saying(CHUNKED + b"3\r\nabc\r\n"), "broke off"),
    "garbage chunk size": (saying(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n"), "not HTTP"),
    "garbage status line": (saying(b"\x00\xff\x13garbage\r\n\r\n"), "not HTTP"),
    "garbage version": (saying(b"HTTP/one 200 OK\r\n\r\nabc"), "not HTTP"),
    "garbage status": (saying(b"HTTP/1.1 OK\r\n\r\nabc"), "not HTTP"),
    "bare image": (saying(IMAGE), "not HTTP"),
    "another protocol": (saying(b"220 ftp.example ready\r\n"), "not HTTP"),
    "two lengths": (saying(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "not HTTP"),
    "negative length": (saying(HEAD + b"Content-Length: -3\r\n\r\nabc"), "not HTTP"),
    "folded header": (saying(HEAD + b" folded\r\n\r\n"), "not HTTP"),
    "header without colon": (saying(HEAD + b"nonsense\r\n\r\nabc"), "not HTTP"),
    "NUL in a header": (saying(HEAD + b"A: \x00\r\n\r\nabc"), "not HTTP"),
    "unknown transfer coding": (saying(HEAD + b"Transfer-Encoding: gzip\r\n\r\nabc"), "could not be fetched|not HTTP"),
    "endless headers": (endlessly(HEAD, b"X-Filler: " + b"a" * 4000 + b"\r\n"), "not HTTP"),
    "endless header": (endlessly(HEAD + b"X-Filler: ", b"a" * 4000), "not HTTP"),
    "brotli": (saying(an_answer(headers=["Content-Encoding: br"])), "Content-Encoding"),
    "two encodings": (
        saying(an_answer(headers=["Content-Encoding: gzip", "Content-Encoding: gzip"])),
        "Content-Encoding",
    ),
    "false gzip": (saying(an_answer(headers=["Content-Encoding: gzip"])), "gzip"),
    "cut gzip": (saying(an_answer(gzip.compress(IMAGE)[:-4], headers=["Content-Encoding: gzip"])), "breaks off"),
}

TOO_LARGE = {
    "declared": then_silence(HEAD + b"Content-Length: 1048577\r\n\r\n"),
    "declared absurdly": then_silence(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "until close": endlessly(HEAD + b"\r\n", bytes(65536)),
    "chunked": endlessly(CHUNKED, b"10000\r\n" + bytes(65536) + b"\r\n"),
    "one huge chunk": endlessly(CHUNKED + b"ffffffffff\r\n", bytes(65536)),
    "gzip bomb": saying(an_answer(gzip.compress(bytes(64 * MEBIBYTE)), headers=["Content-Encoding: gzip"])),
    "deflate bomb": saying(an_answer(zlib.compress(bytes(64 * MEBIBYTE)), headers=["Content-Encoding: deflate"])),
    "false small length with gzip": saying(
        an_answer(gzip.compress(bytes(2 * MEBIBYTE)), headers=["Content-Encoding: gzip", "X-Original-Length: 5"])
    ),
}

TOO_SLOW = {
    "silence": then_silence(b""),
    "silence in the head": then_silence(HEAD),
    "silence in the body": then_silence(HEAD + b"Content-Length: 1000\r\n\r\nabc"),
    "a dripping head": endlessly(HEAD + b"X-Filler: ", b"a", 0.02),
    "a dripping body": endlessly(HEAD + b"Content-Length: 1000000\r\n\r\n", b"a", 0.02),
    "dripping chunks": endlessly(CHUNKED, b"1\r\na\r\n", 0.02),
    "a dripping chunk extension": endlessly(CHUNKED + b"1;", b"a", 0.02),
    "hints for ever": endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001),
}


@pytest.mark.parametrize("talk", GOOD.values(), ids=GOOD.keys())
async def test_an_image_arrives_in_any_framing(talk: Talk) -> None:
    async with a_host(talk) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        assert await images.fetch(host.url) == IMAGE
        assert await images.fetch(host.url) == IMAGE

        await images.aclose()


@pytest.mark.parametrize(("talk", "words"), FAILED.values(), ids=FAILED.keys())
async def test_a_bad_answer_is_a_failed_fetch_in_plain_words(talk: Talk, words: str) -> None:
    async with a_host(talk) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match=words) as failed:
            await images.fetch(host.url)

        await images.aclose()
        await host.all_closed.wait()
    assert "secret" not in failed.value.message
    assert "base64 data URL" in failed.value.message
    assert failed.value.__context__ is None


@pytest.mark.parametrize("talk", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_an_image_past_the_limit_is_cut_off(talk: Talk) -> None:
    async with a_host(talk) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=5), allowed_origins=[host.origin])

        with pytest.raises(ImageTooLarge, match="more than 1 MiB, the limit; send a smaller image"):
            await images.fetch(host.url)

        await images.aclose()
        await host.all_closed.wait()


@pytest.mark.parametrize("talk", TOO_SLOW.values(), ids=TOO_SLOW.keys())
async def test_a_slow_host_is_given_up_in_time_and_hung_up_on(talk: Talk) -> None:
    async with a_host(talk) as host:
        images = GuardedFetcher(FetchLimits(raw_bytes=MEBIBYTE, seconds=0.3), allowed_origins=[host.origin])
        started = time.monotonic()

        with pytest.raises(ImageFetchFailed, match=r"longer than 0\.3 s in all, the limit"):
            await images.fetch(host.url)

        assert time.monotonic() - started < 2
        await images.aclose()
        await host.all_closed.wait()


async def test_a_slow_redirect_after_a_slow_redirect_does_not_get_more_time() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(an_answer(b"", "302 Found", ["Location: /on"]))

    async with a_host(talk) as host:
        images = GuardedFetcher(FetchLimits(seconds=0.3), allowed_origins=[host.origin])

        with pytest.raises(ImageFetchFailed, match=r"longer than 0\.3 s"):
            await images.fetch(host.url)

        await images.aclose()


async def test_a_resolver_that_never_answers_is_given_up_in_time() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    images = GuardedFetcher(FetchLimits(seconds=0.1), resolve=resolve)

    with pytest.raises(ImageFetchFailed, match=r"longer than 0\.1 s"):
        await images.fetch("https://images.example/a.png")

    await images.aclose()


async def test_a_refused_connection_is_a_failed_fetch() -> None:
    async with a_host(saying(b"")) as gone:
        pass
    images = GuardedFetcher(FetchLimits(), allowed_origins=[gone.origin])

    with pytest.raises(ImageFetchFailed, match="could not be reached"):
        await images.fetch(gone.url)

    await images.aclose()


async def test_a_cancelled_fetch_hangs_up_wherever_it_was() -> None:
    async with a_host(then_silence(HEAD + b"Content-Length: 1000\r\n\r\nabc")) as host:
        images = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        for ticks in range(40):
            fetching = asyncio.create_task(images.fetch(host.url))
            for _ in range(ticks):
                await asyncio.sleep(0)
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching

        await images.aclose()
        assert host.connections > 10
        await host.all_closed.wait()


async def test_many_fetches_at_once_each_get_their_own_image() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(an_answer(host.requests[-1].split()[1]))

    async with a_host(talk) as host:
        fetcher = GuardedFetcher(FetchLimits(), allowed_origins=[host.origin])

        images = await asyncio.gather(*(fetcher.fetch(f"{host.origin}/{number}") for number in range(150)))

        await fetcher.aclose()
    assert images == [f"/{number}".encode() for number in range(150)]
