"""Where an image URL may point, as far as the URL alone tells."""

from collections.abc import Set

from obscura.adapters.http_images.addresses import is_address, is_globally_routable
from obscura.adapters.http_images.image_url import ImageUrl
from obscura.adapters.http_images.origin import Origin, is_disguised_address
from obscura.adapters.http_images.refusal import Refused
from obscura.errors import InvalidImageUrl, UnsafeImageUrl

# RFC 6761 (localhost), RFC 6762 (local), RFC 8375 (home.arpa), ICANN's reservation of internal (clouds' metadata too),
# and localdomain, which hosts files have always used.
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "home.arpa")


def require_fetchable(url: ImageUrl, allowed: Set[Origin]) -> None:
    """Raise Refused unless ``url`` is https, on port 443, on a host that may be public, or of an allowed origin.

    Where a URL points is said before what it is: http://127.0.0.1/ is unsafe rather than invalid.
    """
    origin = url.origin
    if origin in allowed:
        return
    if is_disguised_address(origin.host):
        raise Refused(UnsafeImageUrl, "spells an IPv4 address in another way than as four decimal numbers")
    if is_address(origin.host) and not is_globally_routable(origin.host):
        raise Refused(UnsafeImageUrl, "points to an address that is not one of the public internet")
    if any(origin.host == name or origin.host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise Refused(UnsafeImageUrl, "points to a name that has a meaning in local networks only")
    if origin.scheme != "https":
        raise Refused(InvalidImageUrl, "does not begin with https://, and no other scheme is fetched")
    if origin.port != 443:
        raise Refused(UnsafeImageUrl, "names a port, and only https on its own port, 443, is fetched")
