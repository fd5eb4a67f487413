"""What API Gateway would be told: each route, the function behind it, and how its answers travel."""

import re
from dataclasses import dataclass

from rehearsal.stack import Stack

_FUNCTION = re.compile(r"functions/rehearsal-(\w+)functionaliaslive/(response-streaming-)?invocations")


@dataclass(frozen=True, order=True)
class Route:
    """A method of a path; ``timeout_ms`` is None where API Gateway's own 29 s hold."""

    method: str
    path: str
    family: str
    streamed: bool
    timeout_ms: int | None = None


def routes_of(stack: Stack) -> list[Route]:
    """Return every route of the stack's one API, in order; raises ValueError for one that streams by half.

    A route streams when both its transfer mode and its URI say so: either alone deploys, and answers nobody.
    """
    [api] = stack.resources("AWS::ApiGateway::RestApi").values()
    return sorted(
        _route(method.upper(), path, response["x-amazon-apigateway-integration"])
        for path, methods in api["Body"]["paths"].items()
        for method, response in methods.items()
    )


def _route(method: str, path: str, integration: dict[str, object]) -> Route:
    found = _FUNCTION.search(str(integration["uri"]))
    if found is None:
        raise ValueError(f"{method} {path} does not lead to a function's alias: {integration['uri']}")
    streamed = integration.get("responseTransferMode") == "STREAM"
    if streamed != bool(found[2]):
        raise ValueError(f"{method} {path} streams by half: {integration}")
    timeout_ms = integration.get("timeoutInMillis")
    return Route(method, path, found[1], streamed, timeout_ms if isinstance(timeout_ms, int) else None)
