"""Lambda entry of the chat family."""

from obscura.api.routers import chat
from obscura.aws.handler import make_handler

handler = make_handler(chat.FAMILY)
