"""The catalog of the settings and the keys that it names, wherever they are: read once at a start."""

import os
from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from obscura.settings import Settings
from obscura.upstreams.base import SECRET, SSM

if TYPE_CHECKING:
    from obscura.upstreams.catalog_file import CatalogDocument


def load_catalog(settings: Settings) -> "tuple[CatalogDocument, Mapping[str, str]]":
    """Return the catalog, and the keys by reference that it may name, those of the environment among them.

    Raises CatalogError that says what is invalid or cannot be read.
    """
    document = load_document(settings)
    read = settings.read_at_start
    _read_for_catalog(settings, references(document) - read.keys())
    return document, ChainMap(read, dict(os.environ))


def load_document(settings: Settings) -> "CatalogDocument":
    """Return the catalog alone, without its keys; raises CatalogError."""
    from obscura.upstreams.catalog_file import CatalogError, parse_catalog

    location = settings.models or ""
    read = settings.read_at_start
    if location.startswith(SSM):
        _read_for_catalog(settings, {location} - read.keys())
        if location not in read:
            raise CatalogError(f"{location} cannot be read: there is no such parameter")
    elif location not in read:
        from obscura.stores.hash_lists import read_stored

        try:
            read[location] = read_stored(location).decode("utf-8", "surrogateescape")
        except OSError as failure:
            raise CatalogError(f"{location} cannot be read: {failure.strerror}") from None
    return parse_catalog(read[location].encode("utf-8", "surrogateescape"), location)


def _read_for_catalog(settings: Settings, wanted: Collection[str]) -> None:
    from obscura.stores.secret_values import SecretsUnreadable
    from obscura.upstreams.catalog_file import CatalogError

    try:
        read_references(settings, wanted)
    except SecretsUnreadable as unreadable:
        raise CatalogError(f"{', '.join(sorted(wanted))} cannot be read: {unreadable}") from None


def references(document: "CatalogDocument") -> set[str]:
    """Return the keys that a catalog names outside of the environment, as ``ssm:NAME`` and ``secret:ID``."""
    return {
        entry.key_reference for entry in document.upstreams if entry.key_reference is not None and entry.key_env is None
    }


def read_references(settings: Settings, wanted: Collection[str]) -> None:
    """Read what ``ssm:NAME`` and ``secret:ID`` name, in one call for all parameters; what does not exist is left out.

    Raises SecretsUnreadable.
    """
    if not wanted:
        return
    from obscura.stores.secret_values import PatientReader, read_parameters, read_secrets

    names = sorted(each.removeprefix(SSM) for each in wanted if each.startswith(SSM))
    ids = sorted(each.removeprefix(SECRET) for each in wanted if each.startswith(SECRET))
    reader = PatientReader()
    if names:
        settings.read_at_start.update((SSM + name, value) for name, value in read_parameters(names, reader).items())
    if ids:
        settings.read_at_start.update((SECRET + each, value) for each, value in read_secrets(ids, reader).items())
