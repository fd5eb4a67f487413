"""Lambda entry of the chat family."""

from obscura.aws.entry import lambda_entry
from obscura.web.families import chat

handler = lambda_entry(chat)
