"""What the playground checks before it sends: the API's own limits, and the words of its errors.

``checks.json`` is generated from the code that raises the errors (``python -m tests.support.playground_checks``), so
that this module needs no decoder; a test holds the two together. Braces in its messages stand for numbers.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obscura.settings import Settings
from obscura.upstreams.image_limits import DEFAULT_MAX_IMAGES

CHECKS = Path(__file__).with_name("checks.json")


@cache
def _generated() -> dict[str, Any]:
    checks: dict[str, Any] = json.loads(CHECKS.read_text())
    return checks


def local_checks(settings: Settings) -> dict[str, Any]:
    """Return the limits of a deployment, its formats, and the messages with the formats that it decodes."""
    checks = dict(_generated())
    formats = [known for known in checks["formats"] if known["package"] is None or find_spec(known["package"])]
    names = [known["name"] for known in formats]
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    return checks | {
        "formats": [{key: value for key, value in known.items() if key != "package"} for known in formats],
        "messages": {
            name: message | {"text": message["text"].replace("{formats}", listed)}
            for name, message in checks["messages"].items()
        },
        "limits": {
            "image_bytes": settings.max_image_bytes,
            "image_pixels": settings.max_pixels,
            "images": DEFAULT_MAX_IMAGES if settings.max_images is None else settings.max_images,
            "body_bytes": settings.max_body_bytes,
            **checks["limits"],
        },
    }
