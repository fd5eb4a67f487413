"""Context management: what it would clear of past thinking is never sent; other edits are refused."""

from obscura.wire.messages.fields import items_at, object_at, refuse_others, text_of, unsupported
from obscura.wire.raw_body import RawBody, RawObject, is_object, members


def check_context_management(root: RawObject, body: RawBody) -> None:
    """Let edits pass that clear thinking; raises UnsupportedField, naming the edit, on any other."""
    management = object_at(root, "context_management")
    refuse_others(management, ("edits",), "context_management")
    for index, leaf in enumerate(items_at(management, "edits", "context_management")):
        path = f"context_management.edits[{index}]"
        edit = members(leaf, path) if is_object(leaf) else {}
        if not text_of(edit.get("type"), body).startswith("clear_thinking"):
            raise unsupported(f"{path}.type", "Only edits that clear thinking are taken.")
