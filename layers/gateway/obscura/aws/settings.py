"""Settings on AWS: the environment's, with the secrets that SSM Parameter Store keeps."""

from pydantic import SecretStr, ValidationError

from obscura.settings import PREFIX, ConfigurationError, Settings, named_faults

SECRETS = frozenset(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)
"""The settings that are secrets; nothing else is taken from the store, so that the template shows all else."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.5, 2.5
"""Twice both fit into the ten seconds that Lambda gives a start, so that it fails with a word."""


def settings_on_lambda() -> Settings:
    """Read the settings once, at the start; raises ConfigurationError, which names the setting and never its value."""
    try:
        settings = Settings()
        return Settings.model_validate(read_secrets(settings.secrets_path)) if settings.secrets_path else settings
    except ValidationError as wrong:
        raise ConfigurationError("; ".join(named_faults(wrong))) from None


def read_secrets(path: str) -> dict[str, SecretStr]:
    """Return the secrets below ``path`` by the setting that each is for: ``<path>/upstream-key`` is UPSTREAM_KEY."""
    # Heavy, for boto3's sake: only where there is a path.
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
    from botocore.config import Config

    patience = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 2})
    try:
        stored = SSMProvider(boto_config=patience).get_multiple(path, decrypt=True)
    except GetParameterError as refusal:
        raise ConfigurationError(f"{PREFIX}SECRETS_PATH: nothing can be read below {path}: {refusal}") from None
    by_setting = {name.replace("-", "_"): str(value) for name, value in stored.items()}
    return {name: SecretStr(value) for name, value in by_setting.items() if name in SECRETS}
