"""What a request has the upstream keep, and what it names of the upstream's account: refused where it may not be.

The upstream knows one account, the operator's: what it keeps is there for every caller who names it (ADR 80, ADR 81).
"""

from collections.abc import Callable

from obscura.auth.access import Principal
from obscura.dialects.base import DocumentSlot, ImageSlot, ParsedRequest, RequestContent, SourceKind
from obscura.errors import PermissionDenied, RetentionConflict, UnsupportedOperation
from obscura.upstreams.base import CatalogModel


def require_nothing_kept(parsed: ParsedRequest, principal: Principal, *, native: bool) -> None:
    """Raise RetentionConflict if a zero-retention request has the upstream keep something, or use what it keeps."""
    if not principal.zero_retention:
        return
    for path in parsed.kept_upstream:
        raise RetentionConflict(
            f"This is a zero-retention request, and '{path}' has the upstream keep something of it. Leave it out, or "
            "send the request without zero retention.",
            param=path,
        )
    for path in parsed.account_state(native=native):
        raise RetentionConflict(
            f"This is a zero-retention request, and '{path}' names what the upstream keeps. Send the content itself, "
            "or send the request without zero retention.",
            param=path,
        )


def require_own_state(parsed: ParsedRequest, model: CatalogModel, *, native: bool, allowed: bool) -> None:
    """Raise UnsupportedOperation for an id of the upstream's account, unless the deployment or the model allows it."""
    if allowed or model.account_state:
        return
    for path in parsed.account_state(native=native):
        raise UnsupportedOperation(
            f"'{path}' names what the upstream's account holds, which all projects here share. Send the content "
            "itself (reasoning with its encrypted_content), or have the operator set OBSCURA_UPSTREAM_STATE=allow "
            "(in the catalog: account_state = true of the model). In an SDK, store: false sends whole conversations; "
            "responses of one's own project need OBSCURA_STORE_RESPONSES=true.",
            param=path,
        )


def require_files_allowed(
    parsed: RequestContent, principal: Principal, is_stored: Callable[[str], bool] | None = None
) -> None:
    """Raise PermissionDenied if a request uses a stored file, and its key is not for files.

    ``is_stored`` says of a path that it is in a stored response: its images and documents go with it.
    """
    if principal.may_use_files:
        return
    slots: list[ImageSlot | DocumentSlot] = [*parsed.images, *parsed.documents]
    for slot in slots:
        if slot.kind is SourceKind.FILE_ID and not (is_stored and is_stored(slot.path)):
            raise PermissionDenied(
                f"This API key may not use stored files, and '{slot.path}' names one. Send the file itself, or use a "
                "key whose scopes have files.",
                param=slot.path,
            )
