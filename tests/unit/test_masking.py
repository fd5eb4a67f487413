"""Messages of other servers: what is masked in them, what stays, and that it takes time in proportion."""

from time import perf_counter

import pytest

from obscura.masking import MAX_MESSAGE_CHARS, masked, masked_values

SECRETS = (
    "Incorrect API key provided: sk-proj-abc***def. See the page.",
    "sk-ant-api03-AAAA_bbbb was rejected",
    "obs_AbCdEfGhIjKlMnOp",
    "Authorization: Bearer abc.def/ghi+j=",
    "'authorization': 'Basic dXNlcjpwdw=='",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.abc-def",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0",
    "https://api.example.com/v1?key=AAAABBBB&alt=sse",
    "https://s3.example.com/a?X-Amz-Signature=0123&X-Amz-Credential=abc",
    "https://user:hunter2@api.example.com/v1",
    "api_key=AAAABBBB",
    "X-Api-Key: AAAABBBB",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "hf_abcdefghijklmnop",
)
INTERNAL = (
    "http://10.0.0.5:8000/v1/models",
    "http://vllm-0:8000/v1",
    "http://vllm/v1",
    "https://[fd00::1]:8443/x",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/",
    "10.1.2.3",
    "172.16.9.9:6379",
    "192.168.1.4",
    "127.0.0.1:11434",
    "169.254.169.254",
    "100.64.0.1",
    "fd12:3456::1",
    "fe80::1%eth0",
    "::1",
    "[::1]:443",
    "::ffff:10.0.0.1",
    "localhost",
    "localhost:8000",
    "redis-master:6379",
    "gpu1.prod.internal:9000",
    "printer.local",
    "vllm.default.svc.cluster.local",
    "HTTPConnectionPool(host='vllm-svc', port=80)",
    "getaddrinfo ENOTFOUND redis-master",
    "lookup vllm-svc on",
    "Failed to resolve 'vllm-svc'",
)
PLAIN = (
    "max_tokens is too large: 99999. This model supports at most 4096 completion tokens",
    "Unsupported value: 'temperature' does not support 0.7 with this model.",
    "Invalid value: 'messages[0].content[1].image_url'. See https://docs.example.com/errors#a",
    "line:42 at 12:30:45 in std::vector",
    "Unknown key: 'foo'; version 1.2.3",
    "The server at 8.8.8.8 and 2606:4700::1111 is public",
    "356a192b7913b04c54574d18c28d46e6395428ab",
    "Der Schlüssel «größer» — 你好",
)
WORDS_OF_SECRETS = (
    *(
        "abc",
        "hunter2",
        "AAAABBBB",
        "EXAMPLE",
        "eyJ",
        "AIza",
        "hf_",
        "obs_",
        "bbbb",
        "0123",
        "dXNl",
        "10.",
        "172.",
        "192.",
    ),
    *("127.", "169.", "100.64", "fd", "fe80", "::1", "localhost", "redis", "vllm", "gpu1", "printer"),
)


@pytest.mark.parametrize("message", [*SECRETS, *INTERNAL])
@pytest.mark.parametrize("around", ["{}", "Failed ({}).", 'error="{}", x'])
def test_what_is_secret_or_internal_is_masked(message: str, around: str) -> None:
    found = masked(around.format(message))

    assert "[masked]" in found
    assert [word for word in WORDS_OF_SECRETS if word in found] == []


@pytest.mark.parametrize("message", PLAIN)
def test_what_helps_the_caller_stays(message: str) -> None:
    assert masked(message) == message


def test_a_message_is_cut_and_a_secret_at_the_cut_is_masked_whole() -> None:
    assert len(masked("x " * 100_000)) == MAX_MESSAGE_CHARS
    before = "." * (MAX_MESSAGE_CHARS - 12) + " "

    assert masked(f"{before}sk-proj-abcdefghijklmnop") == f"{before}[masked]"


def test_every_string_of_an_error_is_masked() -> None:
    error = {"message": "at 10.0.0.1", "code": 7, "metadata": {"raw": ["Bearer abcdef", None, True]}}

    assert masked_values(error) == {
        "message": "at [masked]",
        "code": 7,
        "metadata": {"raw": ["Bearer [masked]", None, True]},
    }


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "a-",
        "a_",
        "1.",
        ":",
        "[:",
        "http://",
        "eyJ",
        "sk-",
        "key=",
        "key ",
        "host=",
        "bearer ",
        " ",
        "A/",
        "?a=",
    ],
)
def test_any_message_is_masked_in_a_moment(unit: str) -> None:
    hostile = unit * (10_000_000 // len(unit))
    times_s = []
    for _ in range(5):
        began_s = perf_counter()
        masked(hostile)
        times_s.append(perf_counter() - began_s)

    assert min(times_s) < 0.05
