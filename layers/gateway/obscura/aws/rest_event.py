"""API Gateway's events, where Mangum's handlers trip over one or lose what it says."""

from collections.abc import Iterable, Mapping

from mangum.types import LambdaEvent

type Headers = Iterable[tuple[bytes, bytes]]

_PORT = "x-forwarded-port"


def without_pitfalls(event: LambdaEvent) -> LambdaEvent:
    """Give an HTTP event as Mangum can open it, and any other as it is.

    What a test's event leaves out is empty instead of null. The port goes: nobody asks for it, and who sends a second
    one would make it unreadable.
    """
    if "requestContext" not in event:
        return event
    context = event["requestContext"] or {}
    headers = {kind: _without_port(event[kind]) for kind in ("headers", "multiValueHeaders") if kind in event}
    return event | headers | {"requestContext": context | {"identity": context.get("identity") or {}}}


def headers_as_sent(headers: Headers, event: LambdaEvent) -> list[tuple[bytes, bytes]]:
    """Give a header that came several times a line for each, as every HTTP server does; Mangum makes one of them."""
    listed: Mapping[str, list[str] | None] = event.get("multiValueHeaders") or {}
    sent = {name.lower().encode(): values for name, values in listed.items() if values and len(values) > 1}
    lines: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lines += [(name, one.encode()) for one in sent[name]] if name in sent else [(name, value)]
    return lines


def path_in_api(path: str, resource: str) -> str:
    """Give the path below the API: without a custom domain's base path, and without a slash at its end.

    ``resource`` is the template that API Gateway matched (``/v1/models/{model_id+}``): what stands before it is the
    domain's. API Gateway takes paths with a slash at the end for the same resource; a redirect would lose the stage.
    """
    bare = path.rstrip("/") or "/"
    fixed, variable, _ = resource.partition("{")
    if not variable:
        return resource if resource != "/" and bare.endswith(resource) else bare
    _, found, rest = path.partition(fixed)
    return (found + rest).rstrip("/") if found and rest else bare


def _without_port(headers: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (headers or {}).items() if name.lower() != _PORT}
