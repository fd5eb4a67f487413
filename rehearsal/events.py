"""The events in ``events/``: what API Gateway's REST API hands to each family's function, one example a family."""

import json
from typing import Any

from rehearsal.stack import ROOT

EVENTS = ROOT / "events"
PLACEHOLDER = "obs_YOUR-KEY"
"""What stands in the files where a key of yours belongs."""

type Event = dict[str, Any]


def read_event(name: str, key: str) -> Event:
    """Read ``events/<name>.json`` with ``key`` in its place."""
    event: Event = json.loads((EVENTS / f"{name}.json").read_text().replace(PLACEHOLDER, key))
    return event


def with_body(event: Event, **changed: object) -> Event:
    """Return an event whose JSON body has other members."""
    return event | {"body": json.dumps(json.loads(event["body"]) | changed)}


def at(event: Event, method: str, path: str) -> Event:
    """Return an event for another route of the same family."""
    context = event["requestContext"] | {"resourcePath": path, "httpMethod": method, "path": f"/live{path}"}
    return event | {"httpMethod": method, "path": path, "resource": path, "requestContext": context}


def nameless(event: Event, address: str) -> Event:
    """Return an event of a caller without a key, who asks for the free tier from this address."""
    kept = {name: value for name, value in event["headers"].items() if name != "Authorization"}
    headers = kept | {"X-Free-Tier": "true"}
    identity = event["requestContext"]["identity"] | {"sourceIp": address}
    return event | {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": event["requestContext"] | {"identity": identity},
    }
