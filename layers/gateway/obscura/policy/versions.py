"""Versions of a policy: immutable, numbered from 1, with the hash of their content; the diff of two documents."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from obscura.errors import InvalidRequest
from obscura.policy.document import PolicyDocument
from obscura.policy.parse import content_hash


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One saved version; it never changes."""

    number: int
    document: PolicyDocument
    sha256: str
    created_at: datetime
    reverted_from: int | None = None

    @property
    def etag(self) -> str:
        """The entity tag of this version."""
        return etag(self.number, self.sha256)

    @property
    def draft(self) -> bool:
        """Whether it is stored, and not live."""
        return self.document.draft

    @property
    def reference(self) -> str:
        """How a request pins this version: ``policy_id@number``."""
        return f"{self.document.policy_id}@{self.number}"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version without its document, which may have a megabyte."""

    number: int
    name: str
    draft: bool
    sha256: str
    created_at: datetime
    reverted_from: int | None = None

    @property
    def etag(self) -> str:
        """The entity tag, as that of the version."""
        return etag(self.number, self.sha256)


def etag(number: int, sha256: str) -> str:
    """Return the entity tag of a version (RFC 9110 §8.8.3): strong, since versions never change."""
    return f'"{number}-{sha256[:16]}"'


def record_of(version: PolicyVersion) -> VersionRecord:
    """Return the record of a version."""
    document = version.document
    return VersionRecord(
        version.number, document.name, document.draft, version.sha256, version.created_at, version.reverted_from
    )


def next_version(document: PolicyDocument, newest: PolicyVersion | VersionRecord | None, at: datetime) -> PolicyVersion:
    """Return the version that a save of ``document`` makes after ``newest``."""
    return PolicyVersion(1 if newest is None else newest.number + 1, document, content_hash(document), at)


def revert(target: PolicyVersion, newest: PolicyVersion | VersionRecord, at: datetime) -> PolicyVersion:
    """Return the version that a revert to ``target`` makes: a new number with its document, and not a draft."""
    document = target.document.model_copy(update={"draft": False})
    return PolicyVersion(newest.number + 1, document, content_hash(document), at, target.number)


def live_and_former[Version: (PolicyVersion, VersionRecord)](
    versions: Sequence[Version],
) -> tuple[Version | None, Version | None]:
    """Return the live version, the newest that is no draft, and the one that was live before it."""
    published = sorted((one for one in versions if not one.draft), key=lambda one: -one.number)
    return (published[0] if published else None), (published[1] if len(published) > 1 else None)


def live_and_former_numbers(records: Sequence[VersionRecord]) -> tuple[int | None, int | None]:
    """Return the numbers of ``live_and_former``."""
    live, former = live_and_former(records)
    return (None if live is None else live.number), (None if former is None else former.number)


def satisfies_if_match(header: str | None, newest: PolicyVersion | VersionRecord | None) -> bool:
    """Whether a save may go on under an ``If-Match`` header (RFC 9110 §13.1.1); without one it may."""
    if header is None:
        return True
    if header.strip() == "*":
        return newest is not None
    return newest is not None and newest.etag in {tag.strip() for tag in header.split(",")}


def parse_reference(reference: str) -> tuple[str, int | None]:
    """Return the id and the pinned version of ``policy_id`` or ``policy_id@version``; raises InvalidRequest."""
    policy_id, separator, number = reference.partition("@")
    if not separator:
        return policy_id, None
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 9 and int(number) > 0):
        raise InvalidRequest("'policy_id' pins a version as policy_id@3, with a number from 1 on.", param="policy_id")
    return policy_id, int(number)


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two documents, at its path."""

    path: str
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return the change as the API shows it."""
        shown: dict[str, Any] = {"path": self.path, "change": self.kind}
        if self.kind != "added":
            shown["from"] = self.old
        if self.kind != "removed":
            shown["to"] = self.new
        return shown


def diff(old: PolicyDocument, new: PolicyDocument) -> list[Change]:
    """Return what differs in the stored forms, by path; entries of lists are compared as sets."""
    before, after = (one.model_dump(mode="json", exclude_defaults=True) for one in (old, new))
    return list(_changes("", before, after))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            below = f"{path}.{key}" if path else key
            if key not in new and not isinstance(old[key], dict | list):
                yield Change(below, "removed", old=old[key])
            elif key not in old and not isinstance(new[key], dict | list):
                yield Change(below, "added", new=new[key])
            else:
                empty: Any = {} if isinstance(old.get(key, new.get(key)), dict) else []
                yield from _changes(below, old.get(key, empty), new.get(key, empty))
    elif isinstance(old, list) and isinstance(new, list):
        for kind, left, right in (("removed", old, new), ("added", new, old)):
            known = {_canonical(entry) for entry in right}  # by hash: two lists may have 10,000 entries each
            for entry in left:
                if _canonical(entry) not in known:
                    yield Change(path, "removed", old=entry) if kind == "removed" else Change(path, "added", new=entry)
    elif old != new:
        yield Change(path, "changed", old, new)
