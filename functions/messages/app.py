"""Lambda entry of the messages family."""

from obscura.api.routers import messages
from obscura.aws.handler import make_handler

handler = make_handler(messages.FAMILY)
