"""The secrets of a function: which it uses, by its settings, and where they are read from."""

import json
from collections.abc import Callable

from pydantic import SecretStr

from obscura.settings import PREFIX, ConfigurationError, Settings

SECRETS = frozenset(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)
"""The settings that are secrets: only these are read, so that the template shows everything else."""

_USED: dict[str, Callable[[Settings], bool]] = {
    "upstream_key": lambda settings: settings.upstream_url is not None,
    "moderation_key": lambda settings: settings.effective_moderation == "openai",
    "address_secret": lambda settings: settings.models is not None,
    "policy_webhook_secret": lambda settings: settings.policy_webhook_url is not None,
    "policy_splunk_token": lambda settings: settings.policy_splunk_url is not None,
    "policy_datadog_key": lambda settings: "policy_datadog_site" in settings.model_fields_set,
    "policy_otlp_headers": lambda settings: settings.policy_otlp_url is not None,
    "traces_headers": lambda settings: settings.traces_url is not None,
}
"""Whether settings make use of a secret; ``address_secret``, which none names, is read where any other is."""


def used_secrets(settings: Settings) -> list[str]:
    """Return the settings that are secrets and of use; none for a deployment that uses none, such as the demo's."""
    used = {name for name in SECRETS if _USED.get(name, bool)(settings)}
    return sorted(used | {"address_secret"} if used else used)


def with_secrets(settings: Settings) -> Settings:
    """Return the settings with the secrets that they use; raises ConfigurationError, which has no secret's value.

    From SSM they are read in one call, with the keys that the catalog names; from Secrets Manager they are the members
    of one secret, a JSON object.
    """
    used = used_secrets(settings)
    path = settings.secrets_path
    from_manager = settings.secrets_source == "secretsmanager"
    read: dict[str, str] = {}
    if path and used and from_manager:
        read = _members(settings, path)
    names = {} if from_manager or not path else {f"ssm:{path}/{name.replace('_', '-')}": name for name in used}
    if names:
        _read(settings, names.keys() | _catalog_references(settings))
        read = {name: settings.read_at_start.pop(key) for key, name in names.items() if key in settings.read_at_start}
    found = {name: SecretStr(read[name]) for name in used if name in read}
    if not found:
        return settings
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    complete = Settings.model_validate(given | found)
    complete.read_at_start.update(settings.read_at_start)
    return complete


def _members(settings: Settings, path: str) -> dict[str, str]:
    """Return the members of the one secret of Secrets Manager, by the setting that each is for."""
    key = f"secret:{path}"
    _read(settings, {key} | _catalog_references(settings))
    text = settings.read_at_start.pop(key, None)
    if text is None:
        raise ConfigurationError(f"{PREFIX}SECRETS_PATH: there is no secret {path} in Secrets Manager.")
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
        raise ConfigurationError(f"{PREFIX}SECRETS_PATH: the secret {path} must be a JSON object of strings.")
    return {name.replace("-", "_"): value for name, value in members.items()}


def _catalog_references(settings: Settings) -> set[str]:
    if settings.models is None:
        return set()
    from obscura.bootstrap_catalog import load_document, references
    from obscura.upstreams.catalog_file import CatalogError

    try:
        return references(load_document(settings))
    except CatalogError as invalid:
        raise ConfigurationError(f"{PREFIX}MODELS: {invalid}") from None


def _read(settings: Settings, wanted: set[str]) -> None:
    from obscura.bootstrap_catalog import read_references
    from obscura.stores.secret_values import SecretsUnreadable

    try:
        read_references(settings, wanted)
    except SecretsUnreadable as unreadable:
        raise ConfigurationError(
            f"{PREFIX}SECRETS_PATH: nothing can be read below {settings.secrets_path}: {unreadable}"
        ) from None
