"""Lambda entry of the messages family."""

from obscura.aws.entry import lambda_entry
from obscura.web.families import messages

handler = lambda_entry(messages)
