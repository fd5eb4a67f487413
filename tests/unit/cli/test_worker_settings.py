"""Settings that workers share."""

import re

import pytest

from obscura.bootstrap import validate_settings
from obscura.settings import ConfigurationError, Settings


def test_workers_that_would_share_too_small_a_budget_are_refused() -> None:
    expected = "OBSCURA_MEMORY_BUDGET_MB: 4 workers share it, and each needs 32. Set 128 or more, or fewer workers."

    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        validate_settings(Settings(workers=4, memory_budget_mb=64))
