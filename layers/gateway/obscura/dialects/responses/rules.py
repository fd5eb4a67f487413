"""The rules of a request's fields (OpenAI's API reference, "Create a model response"; docs/fields-responses.md).

The same for a request that is passed on and for one that is translated.
"""

from obscura.dialects.responses.items import ITEM, PART
from obscura.dialects.responses.tools import REASONING, TEXT_FORMAT, TOOL
from obscura.dialects.responses.unlisted import flat, numbers
from obscura.dialects.rules.containers import ByKey, Each, Fields, either
from obscura.dialects.rules.leaves import identifier, label, links, number, text
from obscura.dialects.rules.marks import account_state, cache_hint, kept_if_true, kept_upstream

_CHOSEN_TOOL = Fields({"type": identifier, "name": text, "server_label": text, "mode": identifier})
_IDENTIFIERS = ("model", "truncation", "service_tier", "user", "safety_identifier")
_NUMBERS = (
    *("stream", "max_output_tokens", "max_tool_calls", "temperature", "top_p", "top_logprobs"),
    *("parallel_tool_calls", "presence_penalty", "frequency_penalty"),
)

REQUEST = Fields(
    {
        "input": either(text, Each(ITEM)),
        "instructions": text,
        "prompt": Fields(
            {"id": account_state(identifier), "version": identifier, "variables": ByKey(either(text, PART))}
        ),
        "tools": Each(TOOL),
        "tool_choice": either(identifier, _CHOSEN_TOOL.with_fields({"tools": Each(_CHOSEN_TOOL)})),
        "text": Fields({"format": TEXT_FORMAT, "verbosity": identifier}),
        "metadata": ByKey(links),
        "client_metadata": ByKey(label),
        "reasoning": REASONING,
        "stream_options": Fields(numbers("include_obfuscation")),
        "previous_response_id": account_state(identifier),
        "conversation": account_state(either(identifier, flat("id"))),
        "store": kept_if_true(number),
        "background": kept_if_true(number),
        "prompt_cache_key": cache_hint(identifier),
        "prompt_cache_retention": kept_upstream(identifier),
        "context_management": Each(Fields({"type": identifier}, numbers("compact_threshold"))),
        "moderation": Fields(
            {"model": identifier, "policy": Fields({"input": flat("mode"), "output": flat("mode")})},
        ),
        "prompt_cache_options": Fields(
            {"comparison_response_id": account_state(identifier), "mode": identifier},
            {"ttl": kept_upstream(identifier), "prewarm": kept_if_true(number)},
        ),
        "image": flat("context_compression"),
        "access_programs": flat("cyber"),
        "include": Each(identifier),
        **dict.fromkeys(_IDENTIFIERS, identifier),
        **numbers(*_NUMBERS),
    }
)
