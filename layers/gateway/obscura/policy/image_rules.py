"""The rules about images, on facts alone. A fact that is not known does not pass a rule that asks for it."""

from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from obscura.policy.decision import Finding, Layer
from obscura.policy.document import Images
from obscura.policy.facts import ImageFacts, RequestFacts
from obscura.policy.image_hashes import hash_hit, is_unknown
from obscura.policy.terms import ListMatcher, SearchedText


def check_images(layer: Layer, facts: RequestFacts, denylist: ListMatcher) -> Iterator[Finding]:
    """Yield a finding for each rule about images that fired, with the first image that it fired on."""
    rules = layer.document.images
    images = facts.images
    if rules.max_count is not None and len(images) > rules.max_count:
        param = images[rules.max_count].path or None
        yield layer.found("images.max_count", f"{len(images)} images, {rules.max_count} are allowed", param=param)
    if not images:
        return
    total = sum(image.tokens or 0 for image in images)
    if rules.max_total_tokens is not None and total > rules.max_total_tokens:
        yield layer.found("images.max_total_tokens", f"{total} tokens, {rules.max_total_tokens} are allowed")
    if rules.require_zero_retention and not facts.zero_retention:
        yield layer.found(
            "images.require_zero_retention", "the request is not zero-retention", param=images[0].path or None
        )
    for name, reason in _SINGLE_RULES.items():
        for image in images:
            detail = reason(rules, image)
            if detail:
                yield layer.found(f"images.{name}", detail, param=image.path or None)
                break
    for image in images:
        if rules.qr == "check" and denylist and image.codes:
            hits = tuple(dict.fromkeys(hit for code in image.codes for hit in denylist.names(SearchedText(code))))
            if hits:
                yield layer.found(
                    "images.qr", "a code in the image hits the denylist", param=image.path or None, hits=hits
                )
                break


def _above(value: int | None, limit: int | None, what: str) -> str:
    if limit is None:
        return ""
    if value is None:
        return f"{what} not known"
    return f"{value} {what}, {limit} are allowed" if value > limit else ""


def _long_side(rules: Images, image: ImageFacts) -> str:
    known = image.width_px is not None and image.height_px is not None
    return _above(
        max(image.width_px or 0, image.height_px or 0) if known else None, rules.max_side_px, "px longer side"
    )


def _short_side(rules: Images, image: ImageFacts) -> str:
    if rules.min_side_px is None:
        return ""
    if image.width_px is None or image.height_px is None:
        return "size not known"
    side_px = min(image.width_px, image.height_px)
    return f"{side_px} px shorter side, {rules.min_side_px} are needed" if side_px < rules.min_side_px else ""


def _format(rules: Images, image: ImageFacts) -> str:
    if rules.allowed_formats is None or (image.format or "").lower() in rules.allowed_formats:
        return ""
    return f"{image.format or 'an unknown format'}, allowed are {', '.join(rules.allowed_formats) or 'none'}"


def _has(value: bool | None, refused: bool, what: str) -> str:
    if not refused or value is False:
        return ""
    return what if value else f"{what}: not known"


def host_is_below(host: str, pattern: str) -> bool:
    """Whether a host is the one of a pattern, or below it where the pattern begins with ``*.``."""
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def host_is_denied(host: str, denied: Sequence[str]) -> bool:
    """Whether a host is one of ``denied``, or below one."""
    return any(host == (bare := pattern.removeprefix("*.")) or host.endswith(f".{bare}") for pattern in denied)


def hosts_of(rules: Images, image: ImageFacts) -> list[str]:
    """Return the hosts that the host rules hold for: every hop of the fetch, and URLs in codes if they are checked."""
    hosts = [host.lower().rstrip(".") for host in image.hosts]
    if rules.qr == "check":
        hosts += [host for code in image.codes or () if (host := _host_of_url(code))]
    return hosts


def _host_of_url(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        return (parts.hostname or "").rstrip(".") if parts.scheme.lower() in {"http", "https"} else ""
    except ValueError:
        return ""


def refuses_host(layer: Layer, host: str) -> bool:
    """Whether a fetch from a host would end in a decision that does not reach the model: nothing is asked of it."""
    rules, host = layer.document.images, host.lower().rstrip(".")
    denied = host_is_denied(host, rules.denied_hosts)
    allowed = rules.allowed_hosts is None or any(host_is_below(host, one) for one in rules.allowed_hosts)
    fired = [name for name, fires in (("denied_hosts", denied), ("allowed_hosts", not allowed)) if fires]
    return any(not layer.found(f"images.{name}", "").decision.reaches_model for name in fired)


def _allowed_hosts(rules: Images, image: ImageFacts) -> str:
    if rules.allowed_hosts is None:
        return ""
    if image.source == "url" and not image.hosts:
        return "host not known"
    wrong = next(
        (host for host in hosts_of(rules, image) if not any(host_is_below(host, one) for one in rules.allowed_hosts)),
        None,
    )
    return "a host that is not allowed" if wrong is not None else ""


def _denied_hosts(rules: Images, image: ImageFacts) -> str:
    denied = any(host_is_denied(host, rules.denied_hosts) for host in hosts_of(rules, image))
    return "a denied host" if denied else ""


def _blocked_hashes(rules: Images, image: ImageFacts) -> str:
    if not rules.blocked_hashes:
        return ""
    if hash_hit(image, rules.blocked_hashes, rules.max_hash_distance) is not None:
        return "a blocked image"
    return "hash not known" if is_unknown(image, rules.blocked_hashes) else ""


def _allowed_hashes(rules: Images, image: ImageFacts) -> str:
    allowed = rules.allowed_hashes
    if allowed is None or hash_hit(image, allowed, rules.max_hash_distance) is not None:
        return ""
    return "not one of the allowed images"


def _qr(rules: Images, image: ImageFacts) -> str:
    if rules.qr == "ignore":
        return ""
    if image.codes is None:
        return "codes not read"
    return f"{len(image.codes)} codes" if rules.qr == "refuse" and image.codes else ""


_SINGLE_RULES: dict[str, Callable[[Images, ImageFacts], str]] = {
    "require_file_id": lambda rules, image: (
        "not sent by file id" if rules.require_file_id and image.source != "file_id" else ""
    ),
    "refuse_data_urls": lambda rules, image: (
        "a data URL" if rules.refuse_data_urls and image.source == "data_url" else ""
    ),
    "allowed_hosts": _allowed_hosts,
    "denied_hosts": _denied_hosts,
    "allowed_formats": _format,
    "max_bytes": lambda rules, image: _above(image.raw_bytes, rules.max_bytes, "bytes"),
    "min_side_px": _short_side,
    "max_side_px": _long_side,
    "max_tokens": lambda rules, image: _above(image.tokens, rules.max_tokens, "tokens"),
    "refuse_animated": lambda rules, image: _has(image.animated, rules.refuse_animated, "animated"),
    "refuse_alpha": lambda rules, image: _has(image.alpha, rules.refuse_alpha, "an alpha channel"),
    "refuse_metadata": lambda rules, image: _has(image.metadata, rules.refuse_metadata, "metadata"),
    "blocked_hashes": _blocked_hashes,
    "allowed_hashes": _allowed_hashes,
    "qr": _qr,
}
"""Each returns why an image does not pass, empty if it does."""
