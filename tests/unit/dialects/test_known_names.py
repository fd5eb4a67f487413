"""Every name that a dialect's tables know is compared, however deep and behind whatever rule it stands."""

import pytest

from obscura.dialects.base import CallerDialect, ContentLimits, RequestHead
from obscura.dialects.chat.request import ChatDialect
from obscura.dialects.json.raw import RawJson
from obscura.dialects.messages.request import MessagesDialect
from obscura.dialects.responses.request import ResponsesDialect
from obscura.errors import InvalidRequest

MESSAGES = b'"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]'
CHAT = b'"model": "m", "messages": [{"role": "user", "content": "hi"}]'
RESPONSES = b'"model": "m", "input": "hi"'


@pytest.mark.parametrize(
    ("dialect", "request_fields", "misspelled", "path"),
    [
        (ResponsesDialect(), RESPONSES, b'"tools": [{"type": "mcp", "Server_Label": "x"}]', "tools[0].Server_Label"),
        (
            ResponsesDialect(),
            RESPONSES,
            b'"tools": [{"type": "file_search", "Max_Num_Results": 9}]',
            "tools[0].Max_Num_Results",
        ),
        (
            MessagesDialect(),
            MESSAGES,
            b'"tools": [{"type": "web_search_20250305", "Max_Uses": 9}]',
            "tools[0].Max_Uses",
        ),
        (
            MessagesDialect(),
            MESSAGES,
            b'"mcp_servers": [{"Authorization_Token": "x"}]',
            "mcp_servers[0].Authorization_Token",
        ),
        (
            ChatDialect(),
            CHAT,
            b'"web_search_options": {"Search_Context_Size": "low"}',
            "web_search_options.Search_Context_Size",
        ),
    ],
)
def test_a_name_of_a_tool_that_differs_in_letter_case_alone_is_refused(
    dialect: CallerDialect, request_fields: bytes, misspelled: bytes, path: str
) -> None:
    body = RawJson(b"{%b, %b}" % (request_fields, misspelled))

    with pytest.raises(InvalidRequest, match="spelled almost like") as raised:
        dialect.parse(RequestHead(), body, ContentLimits())

    assert raised.value.param == path
