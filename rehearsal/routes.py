"""Routes of the stack's API: the function of each, and whether its responses are streamed."""

import re
from dataclasses import dataclass

from rehearsal.stack import Stack

_FUNCTION = re.compile(r"functions/rehearsal-(\w+)functionaliaslive/(response-streaming-)?invocations")


@dataclass(frozen=True, order=True)
class Route:
    """A method of a path; ``timeout_ms`` is None for API Gateway's own 29 s."""

    method: str
    path: str
    family: str
    streamed: bool
    timeout_ms: int | None = None


def routes_of(stack: Stack) -> list[Route]:
    """Return every route of the stack's one API, in order; raises ValueError for one that streams by half.

    A route streams if both its transfer mode and its URI say so; with only one of them it deploys, but fails.
    """
    [api] = stack.resources("AWS::ApiGateway::RestApi").values()
    return sorted(
        _route(method.upper(), path, operation["x-amazon-apigateway-integration"])
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    )


def _route(method: str, path: str, integration: dict[str, object]) -> Route:
    function = _FUNCTION.search(str(integration["uri"]))
    if function is None:
        raise ValueError(f"{method} {path} does not invoke a function's alias: {integration['uri']}")
    streamed = integration.get("responseTransferMode") == "STREAM"
    if streamed != bool(function[2]):
        raise ValueError(f"{method} {path} streams by half: {integration}")
    timeout_ms = integration.get("timeoutInMillis")
    return Route(method, path, function[1], streamed, timeout_ms if isinstance(timeout_ms, int) else None)
