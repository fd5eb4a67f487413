"""How a command ends that cannot go on: with words for the person who typed it, and a status for scripts."""

from pydantic import ValidationError

from obscura.cli.terminal import say_error
from obscura.config import ConfigurationError, named_faults
from obscura.errors import ObscuraError

WRONG_SETTING = 2
OUT_OF_REACH = 1


def end_by(failure: Exception) -> int:
    """Say what went wrong and give the status to end with; a failure that nobody foresaw is raised again."""
    match failure:
        case ValidationError():
            for fault in named_faults(failure):
                say_error(fault)
        case ConfigurationError():
            say_error(str(failure))
        case ObscuraError():
            say_error(failure.message)
            return OUT_OF_REACH
        case _:
            raise failure
    return WRONG_SETTING
