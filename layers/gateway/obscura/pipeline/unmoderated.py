"""What cannot be checked: refused, unless the operator passes it, and named in the response (ADR 7)."""

from collections.abc import Sequence

from obscura.auth.access import Principal
from obscura.dialects.base import ParsedRequest
from obscura.upstreams.base import CatalogModel

UNMODERATED_HEADER = "x-unmoderated"


def require_checkable(
    parsed: ParsedRequest, model: CatalogModel, principal: Principal, *, refuse_unmoderated: bool
) -> None:
    """Raise the error of the first part that may not go to the model.

    That is one that cannot be checked and whose type the model's catalog entry does not pass; and audio or video, if
    the deployment refuses it or the caller is anonymous.
    """
    for part in parsed.unchecked:
        if part.kind not in model.pass_types:
            raise part.error
    if refuse_unmoderated or principal.anonymous:
        for part in parsed.unmoderated:
            raise part.error


def unmoderated_types(parsed: ParsedRequest) -> Sequence[str]:
    """Return the types of the parts that go to the model without a moderation, each once, in request order."""
    return list(dict.fromkeys(part.kind for part in (*parsed.unchecked, *parsed.unmoderated)))
