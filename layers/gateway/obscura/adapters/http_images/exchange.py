"""One GET, on a connection of its own."""

import ssl
from dataclasses import dataclass

import httpcore

from obscura.adapters.http_images.body import read_body
from obscura.adapters.http_images.connect import CheckedNetwork
from obscura.adapters.http_images.failures import in_plain_words
from obscura.adapters.http_images.image_url import ImageUrl
from obscura.adapters.http_images.refusal import Refused
from obscura.errors import ImageFetchFailed

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends elsewhere; ``location`` is its Location header as it came."""

    location: bytes


async def exchange(
    url: ImageUrl, network: CheckedNetwork, ssl_context: ssl.SSLContext | None, limit_bytes: int
) -> bytes | Redirect:
    """Ask for ``url`` and give its body or where it redirects to; raises Refused and nothing else.

    The connection serves this exchange alone and is closed on every way out, a cancelled task included: there is no
    pool that could hand a connection to another origin, keep one that a server has poisoned, or lose one.
    """
    connection = httpcore.AsyncHTTPConnection(origin=_url(url).origin, ssl_context=ssl_context, network_backend=network)
    try:
        response = await connection.handle_async_request(_request(url))
        return await _read(response, limit_bytes)
    except Refused:
        raise
    except Exception as failure:  # whatever a hostile server can make a library raise is a failed fetch
        raise Refused(ImageFetchFailed, in_plain_words(failure)) from None
    finally:
        await network.aclose()


def _url(url: ImageUrl) -> httpcore.URL:
    origin = url.origin
    return httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=url.target)


def _request(url: ImageUrl) -> httpcore.Request:
    headers = (
        ("Host", url.origin.authority),
        ("User-Agent", "obscura"),
        ("Accept", "image/png, image/jpeg, image/webp, image/gif, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    )
    return httpcore.Request("GET", _url(url), headers=headers)


async def _read(response: httpcore.Response, limit_bytes: int) -> bytes | Redirect:
    if response.status in _REDIRECTS:
        locations = _header(response, b"location")
        if len(locations) != 1:
            raise Refused(ImageFetchFailed, f"answered with status {response.status} and no one Location to go to")
        return Redirect(locations[0])
    if response.status != 200:
        raise Refused(ImageFetchFailed, f"answered with status {response.status}, not 200")
    declared = _header(response, b"content-length")
    encoding = b",".join(_header(response, b"content-encoding")).decode("latin-1")
    return await read_body(response.aiter_stream(), int(declared[0]) if declared else 0, encoding, limit_bytes)


def _header(response: httpcore.Response, name: bytes) -> list[bytes]:
    return [value for key, value in response.headers if key.lower() == name]
