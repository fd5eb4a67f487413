"""Events in ``events/``: one for each family's function, as API Gateway's REST API passes it."""

import json
from typing import Any

from rehearsal.stack import ROOT

EVENTS = ROOT / "events"
PLACEHOLDER = "obs_YOUR-KEY"
"""Stands for an API key in the files."""

type Event = dict[str, Any]


def read_event(name: str, key: str) -> Event:
    """Read ``events/<name>.json`` with ``key`` in place of the placeholder."""
    event: Event = json.loads((EVENTS / f"{name}.json").read_text().replace(PLACEHOLDER, key))
    return event


def with_body(event: Event, **members: object) -> Event:
    """Return an event with other members in its JSON body."""
    return event | {"body": json.dumps(json.loads(event["body"]) | members)}


def with_route(event: Event, method: str, path: str) -> Event:
    """Return an event for another route of the same family."""
    context = event["requestContext"] | {"resourcePath": path, "httpMethod": method, "path": f"/live{path}"}
    return event | {"httpMethod": method, "path": path, "resource": path, "requestContext": context}


def with_query(event: Event, **parameters: str) -> Event:
    """Return an event with these parameters in its query."""
    multi = {name: [value] for name, value in parameters.items()}
    return event | {"queryStringParameters": parameters, "multiValueQueryStringParameters": multi}


def with_header(event: Event, name: str, value: str) -> Event:
    """Return an event with one more header."""
    return event | {
        "headers": event["headers"] | {name: value},
        "multiValueHeaders": event["multiValueHeaders"] | {name: [value]},
    }


def unauthenticated(event: Event, address: str) -> Event:
    """Return an event without a key that requests the free tier from this address."""
    kept = {name: value for name, value in event["headers"].items() if name != "Authorization"}
    headers = kept | {"X-Free-Tier": "true"}
    identity = event["requestContext"]["identity"] | {"sourceIp": address}
    return event | {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": event["requestContext"] | {"identity": identity},
    }
