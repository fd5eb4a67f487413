"""Lambda entry of the responses family."""

from obscura.aws.entry import lambda_entry
from obscura.web.families import responses

handler = lambda_entry(responses)
