"""Why an image URL is not fetched, before ``fetch`` puts it in words for the caller."""

from obscura.errors import ObscuraError

AS_DATA_URL = "send the picture as a base64 data URL instead"


class Refused(Exception):
    """The error class to answer with, a clause that continues "The image URL …", and the way out.

    The clause names limits, never hosts, addresses, paths or what a library said: a redirect can bring in hosts and
    addresses that the caller does not know, and only ``fetch`` knows which host the caller named.
    """

    def __init__(self, error: type[ObscuraError], clause: str, way_out: str = AS_DATA_URL) -> None:
        super().__init__(clause)
        self.error = error
        self.clause = clause
        self.way_out = way_out
