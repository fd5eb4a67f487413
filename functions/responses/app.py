"""Lambda entry of the responses family."""

from obscura.api.routers import responses
from obscura.aws.handler import make_handler

handler = make_handler(responses.FAMILY)
