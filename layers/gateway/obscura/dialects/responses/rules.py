"""The rules of a request's fields (OpenAI's API reference, "Create a model response"; docs/fields-responses.md).

The same for a request that is passed on and for one that is translated.
"""

from obscura.dialects.responses.items import ITEM, PART
from obscura.dialects.responses.tools import TEXT_FORMAT, TOOL
from obscura.dialects.responses.unlisted import words
from obscura.dialects.rules.containers import ByKey, Each, Fields, either
from obscura.dialects.rules.leaves import identifier, links

_CHOSEN_TOOL = Fields({"type": identifier, "name": words, "server_label": words, "mode": identifier})
_IDENTIFIERS = (
    *("model", "stream", "stream_options", "background", "store", "truncation", "include", "max_output_tokens"),
    *("max_tool_calls", "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "service_tier", "reasoning"),
    *("previous_response_id", "conversation", "context_management", "user", "safety_identifier", "moderation"),
    *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "image", "access_programs"),
)

REQUEST = Fields(
    {
        "input": either(words, Each(ITEM)),
        "instructions": words,
        "prompt": Fields({"id": identifier, "version": identifier, "variables": ByKey(either(words, PART))}),
        "tools": Each(TOOL),
        "tool_choice": either(identifier, _CHOSEN_TOOL.with_fields({"tools": Each(_CHOSEN_TOOL)})),
        "text": Fields({"format": TEXT_FORMAT, "verbosity": identifier}),
        "metadata": ByKey(links),
        **dict.fromkeys(_IDENTIFIERS, identifier),
    }
)
