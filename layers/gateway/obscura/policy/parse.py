"""A policy document from what was sent: JSON (or YAML in files), every error at its field; its schema and its hash."""

import copy
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from obscura.errors import InvalidRequest
from obscura.policy.document import PolicyDocument
from obscura.policy.regexes import MAX_STATES_IN_ALL, RegexError, states_of
from obscura.policy.spellings import slug, to_stored_form
from obscura.policy.terms import MAX_LIST_BYTES, list_bytes

MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_DEPTH = 20


def parse_json(body: bytes) -> Any:
    """Parse JSON strictly; raises InvalidRequest for what is none, for a key that is there twice, or if too long."""
    if len(body) > MAX_DOCUMENT_BYTES:
        raise InvalidRequest(f"A policy document has at most {MAX_DOCUMENT_BYTES:,} bytes; this one has {len(body):,}.")
    try:
        parsed = json.loads(body, object_pairs_hook=_object, parse_constant=_no_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidRequest(f"The policy document is not valid JSON{where}.") from None
    return parsed


def parse_document(document: object, detectors: Collection[str] = ()) -> PolicyDocument:
    """Validate a document of plain JSON values.

    ``detectors`` are the kinds of image redaction that the deployment can do; raises InvalidRequest, with the path as
    the caller wrote it in ``param``, for everything that is wrong.
    """
    if not isinstance(document, dict):
        raise InvalidRequest("A policy document is a JSON object.")
    _require_depth(document)
    rewriter = to_stored_form(copy.deepcopy(document))
    stored = rewriter.document
    if "policy_id" not in stored and isinstance(stored.get("name"), str) and slug(stored["name"]):
        stored["policy_id"] = slug(stored["name"])
    _refuse_image_redaction(stored, detectors, rewriter.written_at)
    try:
        # From JSON text, where a strict model takes an array for a tuple.
        parsed = PolicyDocument.model_validate_json(json.dumps(stored))
    except ValidationError as error:
        raise _first_error(error, rewriter.written_at) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The policy document cannot be read: a string that is no text, or nested too deep."
        ) from None
    check_regexes(parsed, rewriter.written_at)
    check_lists(parsed, rewriter.written_at)
    return parsed


def _require_depth(document: object) -> None:
    """Raise InvalidRequest for a document that is nested deeper than any part of a policy is."""
    level = [document]
    for _ in range(MAX_DEPTH):
        containers = [value for value in level if isinstance(value, dict | list)]
        level = [below for value in containers for below in (value.values() if isinstance(value, dict) else value)]
        if not level:
            return
    raise InvalidRequest(f"A policy document is nested at most {MAX_DEPTH} levels deep.")


def parse_floor(document: object) -> PolicyDocument:
    """Validate the organisation's floor: a policy document whose ``policy_id`` may be missing."""
    return parse_document({"policy_id": "floor", **document} if isinstance(document, dict) else document)


def check_regexes(document: PolicyDocument, written_at: Callable[[str], str] = str) -> None:
    """Raise InvalidRequest at the first regular expression that is none, or too costly; or for all of them together."""
    total = 0
    for number, regex in enumerate(document.rules.regexes):
        path = written_at(f"rules.regexes[{number}].regex")
        try:
            total += states_of(regex.regex)
        except RegexError as error:
            raise InvalidRequest(f"'{path}' {error}", param=path) from None
        if total > MAX_STATES_IN_ALL:
            raise InvalidRequest(
                f"'{path}': up to here the expressions have {total:,} states; all together may have "
                f"{MAX_STATES_IN_ALL:,}. Shorten repetitions such as x{{1,200}}, or leave some out.",
                param=path,
            )


def check_lists(document: PolicyDocument, written_at: Callable[[str], str] = str) -> None:
    """Raise InvalidRequest at a list of terms that is too large to be matched."""
    rules = document.rules
    lists = {"denylist": rules.denylist, "allowlist": rules.allowlist, "redact_terms": rules.redact_terms}
    for name, terms in lists.items():
        size = list_bytes(terms)
        if size > MAX_LIST_BYTES:
            path = written_at(f"rules.{name}")
            message = f"'{path}' has {size:,} bytes of terms; {MAX_LIST_BYTES:,} are allowed. Shorten it."
            raise InvalidRequest(message, param=path)


def _refuse_image_redaction(
    document: dict[str, Any], detectors: Collection[str], written_at: Callable[[str], str]
) -> None:
    images = document.get("images")
    wanted = images.get("redact") if isinstance(images, dict) else None
    if wanted is None:
        return
    kinds = wanted if isinstance(wanted, list) else [wanted]
    missing = [kind for kind in kinds if kind not in detectors]
    if missing:
        path = written_at("images.redact")
        raise InvalidRequest(
            f"'{path}': this deployment has no detector that could redact {_named(missing)} in images, so it is not "
            "promised. Leave it out; to keep such images out, refuse them (images.max_count, images.allowed_hashes).",
            param=path,
        )


def require_code_reader(document: PolicyDocument, param: str = "images.qr") -> None:
    """Raise InvalidRequest for a rule about codes in images where nothing reads them: it would refuse every image."""
    if document.images.qr != "ignore" and find_spec("zxingcpp") is None:
        raise InvalidRequest(
            f"'{param}': this deployment has no reader of codes in images. Leave the rule out, or ask the operator to "
            "install the extra 'qr' (pip install 'obscura[qr]').",
            param=param,
        )


def _named(kinds: Sequence[object]) -> str:
    return " and ".join(kind if isinstance(kind, str) else "anything" for kind in kinds)


def _first_error(error: ValidationError, written_at: Callable[[str], str]) -> InvalidRequest:
    faults = error.errors(include_url=False, include_input=False)
    fault = max(_of_the_same_value(faults), key=lambda one: (len(one["loc"]), one["type"] not in _OTHER_KIND))
    if fault["type"] == "json_invalid":
        return InvalidRequest("The policy document has a string with half of a surrogate pair, which is no text.")
    path = written_at(json_path([part for part in fault["loc"] if not _is_union_tag(part)]))
    if fault["type"] == "extra_forbidden":
        message = f"'{path}' is not a field of a policy document. Correct its name, or leave it out."
    elif fault["type"] == "missing":
        message = f"'{path}' is required."
    else:
        message = f"'{path}': {fault['msg'].removeprefix('Value error, ').rstrip('.')}."
    return InvalidRequest(message, param=path)


_OTHER_KIND = {"tuple_type", "model_type", "model_attributes_type"}


def _of_the_same_value(faults: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the first fault, and for a value that may be of two kinds the faults of both."""
    location = faults[0]["loc"]
    tag = next((index for index, part in enumerate(location) if _is_union_tag(part)), None)
    return [faults[0]] if tag is None else [fault for fault in faults if fault["loc"][:tag] == location[:tag]]


def _is_union_tag(part: int | str) -> bool:
    """Whether a part of pydantic's location names a kind of value, and no key of the document."""
    return isinstance(part, str) and (part in {"Quota", "[key]"} or part.startswith(("tuple[", "function-")))


def json_path(location: Sequence[int | str]) -> str:
    """Return a location as a JSON path, such as ``rules.denylist[0]``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidRequest(f"'{twice}' is there twice in one object. Leave one out.", param=twice)
    return found


def _no_constant(name: str) -> float:
    raise InvalidRequest(f"{name} is not JSON.")


def parse_yaml(text: str) -> Any:
    """Parse YAML into plain values; raises InvalidRequest for what is none, or without a YAML library."""
    try:
        import yaml
    except ImportError:
        raise InvalidRequest(
            "YAML needs the package PyYAML, which is not installed. Install it, or write JSON."
        ) from None
    try:
        return yaml.load(text, Loader=_strict_loader())  # noqa: S506 a SafeLoader, with fewer types
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidRequest(f"The policy document is not valid YAML{where}.") from None


@lru_cache(maxsize=1)
def _strict_loader() -> Any:
    """Return a safe loader without aliases, which can grow a document without end, and without keys twice."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc] # the library has no types
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not accepted", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        return _object(
            [
                (str(loader.construct_object(key)), loader.construct_object(value, deep=True))
                for key, value in node.value
            ]
        )

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    # A date is the text that was written.
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    return Loader


def stored_form(document: PolicyDocument) -> dict[str, Any]:
    """Return the document as it is stored and shown: what was written, in the one spelling."""
    return document.model_dump(mode="json", exclude_unset=True)


def content_hash(document: PolicyDocument) -> str:
    """Return a SHA-256 in hex of all that differs from a default: equal for two documents that mean the same."""
    differing = document.model_dump(mode="json", exclude_defaults=True)
    encoded = json.dumps(differing, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(encoded).hexdigest()


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the stored form."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Obscura policy document",
        **{key: value for key, value in PolicyDocument.model_json_schema().items() if key != "title"},
    }
