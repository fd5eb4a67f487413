"""File names as callers give them."""

from obscura.errors import InvalidRequest

LONGEST_FILENAME = 255


def check_filename(filename: str, param: str) -> None:
    """Raise InvalidRequest for a path, for control characters and for a name over ``LONGEST_FILENAME`` characters.

    A name is only ever shown again; nothing is opened by it (RFC 7578 §4.2 says why).
    """
    if len(filename) > LONGEST_FILENAME:
        raise InvalidRequest(f"The file's name is over {LONGEST_FILENAME} characters. Shorten it.", param=param)
    if "/" in filename or "\\" in filename or not filename.isprintable():
        raise InvalidRequest("The file's name must be a name, not a path, without control characters.", param=param)
