"""No hostile URL makes Obscura open a connection, no matter what names resolve to."""

import pytest

from obscura.errors import InvalidImageUrl, ObscuraError, UnsafeImageUrl
from obscura.fetch.fetcher import FetchLimits, GuardedFetcher
from tests.security.image_urls.hosts import IMAGE, FakeResolver, LoopbackNetwork, a_response, image_host, responding

INVALID = [
    "",
    "a.png",
    "/a.png",
    "127.0.0.1",
    "127.0.0.1:{port}/a.png",
    "localhost:{port}",
    "?https://example.com/",
    "https",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "https:///127.0.0.1/",
    "https:/127.0.0.1/",
    "https:127.0.0.1",
    "https:example.com/a.png",
    "://example.com/",
    "//example.com/a.png",
    "http://example.com/a.png",
    "http://example.com:443/a.png",
    "HTTP://example.com/",
    "ftp://example.com/a.png",
    "gopher://example.com/1",
    "ws://example.com/",
    "ldap://example.com/",
    "dict://example.com:11211/stat",
    "unix:///var/run/docker.sock",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "javascript:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "blob:https://127.0.0.1/0-0",
    "view-source:https://127.0.0.1/",
    "jar:https://127.0.0.1/!/",
    "data:image/png;base64,AAAA",
    "data:text/html,<script>",
    "about:blank",
    "mailto:a@example.com",
    "url:https://127.0.0.1/",
    "https://user@127.0.0.1/",
    "https://user:password@127.0.0.1:{port}/",
    "https://example.com@127.0.0.1/",
    "https://example.com:443@127.0.0.1/",
    "https://@127.0.0.1/",
    "https://:@127.0.0.1/",
    "https://127.0.0.1@example.com@127.0.0.1/",
    "https://127.0.0.1\\@1.1.1.1/",
    "https://1.1.1.1\\@127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "https:/\\127.0.0.1/",
    "https://example.com\\.127.0.0.1/",
    "https://example.com/a\\b",
    "https://127.0.0.1:{port}\\a.png",
    " https://127.0.0.1/",
    "https://127.0.0.1/ ",
    "https:// 127.0.0.1/",
    "https://example.com /",
    "https://127.0.0.1 .example.com/",
    "https://example.com/a b.png",
    "https://example.com/\r\nHost: 127.0.0.1",
    "https://example.com\r\n/",
    "https://example.com/?a=\nb",
    "https://exam\tple.com/",
    "https://127.0.0\t.1/",
    "ht\ntps://127.0.0.1/",
    "java\tscript:alert(1)",
    "https://example.com/\x00",
    "https://127.0.0.1\x00.example.com/",
    "https://example.com/\x7f",
    "https://example.com/\x85",
    "https://example.com/\u2028",
    "https://example.com/\u3000",
    "https://example.com/\ud800",
    "\ufeffhttps://127.0.0.1/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1%2f@example.com/",
    "https://127.0.0.1%00.example.com/",
    "https://127.0.0.1%23.example.com/",
    "https://example.com%0d%0a/",
    "https://localhos%74/",
    "https://[::1%25lo]/",
    "https://[fe80::1%eth0]/",
    "https://[fe80::1%25eth0]:{port}/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "https://127\u30020\u30020\u30021/",
    "https://127.0.0.1\uff0eexample.com/",
    "https://exam\u00adple.com/",
    "https://local\u200bhost/",
    "https://bücher.example/",
    "https://\ufb00.example/",
    "\uff48ttps://127.0.0.1/",
    "https://example.com\uff0fa.png",
    "https://127.0.0.1\uff1a443/",
    "https://:443/",
    "https://:{port}/",
    "https://example.com:/",
    "https://127.0.0.1:/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:99999999/",
    "https://example.com:+443/",
    "https://example.com:-1/",
    "https://example.com:0443/",
    "https://example.com:0x1bb/",
    "https://example.com:443:443/",
    "https://example.com:https/",
    "https://example.com:\u0664\u0664\u0663/",
    "https://example.com./",
    "https://127.0.0.1./",
    "https://localhost./",
    "https://.example.com/",
    "https://example..com/",
    "https://./",
    "https://../",
    "https://-example.com/",
    "https://example-.com/",
    "https://exa*mple.com/",
    "https://exam,ple.com/",
    "https://example.com;127.0.0.1/",
    "https://127.0.0.1&example.com/",
    "https://$(hostname)/",
    "https://{{host}}/",
    "https://<127.0.0.1>/",
    "https://[/",
    "https://]/",
    "https://[]/",
    "https://[::1/",
    "https://::1/",
    "https://[::1]x/",
    "https://[::1].example.com/",
    "https://[127.0.0.1]/",
    "https://[::ffff:127.1]/",
    "https://[v1.fe80::1]/",
    "https://[[::1]]/",
    "https://[localhost]/",
    "https://[:::1]/",
    "https://[::12345]/",
    "https://[0:0:0:0:0:0:0:0:1]/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 126 + "aa/",
    "https://example.com/" + "a" * 8192,
    "https://example.com/" + "\u00e9" * 3000,
]

UNSAFE = [
    "https://127.0.0.1/",
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://[::1]:{port6}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "ws://127.0.0.1:{port}/",
    "file://127.0.0.1/etc/passwd",
    "file://localhost/etc/passwd",
    "//127.0.0.1:{port}/",
    "//localhost/",
    "https://127.0.0.1?a.png",
    "https://127.0.0.1#.example.com",
    "https://127.255.255.254/",
    "https://0.0.0.0/",
    "https://0.0.0.0:{port}/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.170.2/v2/credentials",
    "https://168.63.129.16/machine",
    "https://192.0.0.192/opc/v1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0X7F000001/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.01/",
    "https://127.0.0.0x1/",
    "https://0/",
    "https://0x/",
    "https://1/",
    "https://1.1.1/",
    "https://1.2.3.4.5/",
    "https://256.256.256.256/",
    "https://127.0.0.257/",
    "https://4294967297/",
    "https://99999999999/",
    "https://example.127/",
    "https://example.com.1/",
    "https://example.0x7f/",
    "https://08.8.8.8/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::1]:{port6}/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[0000::0001]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]/",
    "https://[::FFFF:169.254.169.254]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b:1::a9fe:a9fe]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2a00:1450:4001::5efe:127.0.0.1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost:{port}/",
    "http://localhost:{port}/",
    "https://a.localhost/",
    "https://localhost.localdomain/",
    "https://printer.local/",
    "https://images.internal/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "https://instance-data.ec2.internal/latest/meta-data/",
    "https://router.home.arpa/",
    "https://example.com:{port}/",
    "https://example.com:80/",
    "https://example.com:22/",
    "https://example.com:8443/a.png",
    "https://1.1.1.1:6379/",
    "https://[2606:4700:4700::1111]:8443/",
    # well spelled, so that they are resolved: to loopback
    "https://example.com/a.png",
    "https://127.0.0.1.nip.io/",
    "https://localtest.me/",
    "https://my_host.example/",
    "https://xn--bcher-kva.example/",
    "https://intranet/",
    "https://127.0.0.1.example/",
    "https://0x7f000001.example/",
    "https://2130706433.example/",
]

HOSTILE = [(url, InvalidImageUrl) for url in INVALID] + [(url, UnsafeImageUrl) for url in UNSAFE]


@pytest.mark.parametrize(("url", "error"), HOSTILE, ids=[ascii(url)[:60] for url, _ in HOSTILE])
async def test_a_hostile_url_is_rejected_without_a_connection(url: str, error: type[ObscuraError]) -> None:
    async with (
        image_host(responding(a_response())) as canary,
        image_host(responding(a_response()), address="::1") as canary6,
    ):
        network = LoopbackNetwork(canary.port)
        images = GuardedFetcher(FetchLimits(seconds=5), resolve=FakeResolver(["127.0.0.1", "::1"]), network=network)

        with pytest.raises(error) as rejected:
            await images.fetch(url.replace("{port}", str(canary.port)).replace("{port6}", str(canary6.port)))

        await images.aclose()
    assert network.connected_to == []
    assert canary.connections == canary6.connections == 0
    assert "image URL" in rejected.value.message
    assert rejected.value.message.isprintable()
    assert rejected.value.param is None


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port6}/",
        "http://0.0.0.0:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@1.1.1.1/",
    ],
)
async def test_no_hostile_url_reaches_loopback_over_the_real_network(url: str) -> None:
    async with (
        image_host(responding(a_response())) as canary,
        image_host(responding(a_response()), address="::1") as canary6,
    ):
        images = GuardedFetcher(FetchLimits(seconds=5))

        with pytest.raises((InvalidImageUrl, UnsafeImageUrl)):
            await images.fetch(url.replace("{port}", str(canary.port)).replace("{port6}", str(canary6.port)))

        await images.aclose()
    assert canary.connections == canary6.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_the_canary_hosts_can_be_reached_if_allowed(address: str) -> None:
    async with image_host(responding(a_response()), address=address) as canary:
        origin = f"http://[{address}]:{canary.port}" if ":" in address else canary.origin
        images = GuardedFetcher(FetchLimits(seconds=5), allowed_origins=[origin])

        assert await images.fetch(f"{origin}/a.png") == IMAGE

        await images.aclose()
    assert canary.connections == 1


async def test_frequent_mistakes_get_a_hint() -> None:
    images = GuardedFetcher(FetchLimits())

    with pytest.raises(InvalidImageUrl, match="punycode"):
        await images.fetch("https://bücher.example/a.png")
    with pytest.raises(InvalidImageUrl, match=r"https://.*base64 data URL"):
        await images.fetch("http://example.com/a.png")
    with pytest.raises(InvalidImageUrl, match="user name or password"):
        await images.fetch("https://me:secret@example.com/a.png")
    with pytest.raises(InvalidImageUrl, match="plain letters"):
        await images.fetch("https://example%2Ecom/a.png")
    with pytest.raises(InvalidImageUrl, match="%20"):
        await images.fetch("https://example.com/my cat.png")
    await images.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@example.com/hidden-path?token=hunter2",
        "http://example.com/hidden-path?token=hunter2",
        "https://example.com/hidden-path token=hunter2",
        "https://example.com:8443/hidden-path?token=hunter2",
        "https://example.com/hidden-path?token=hunter2",
    ],
)
async def test_an_error_has_no_path_query_password_or_resolved_address(url: str) -> None:
    images = GuardedFetcher(FetchLimits(), resolve=FakeResolver(["10.1.2.3"]))

    with pytest.raises((InvalidImageUrl, UnsafeImageUrl)) as rejected:
        await images.fetch(url)

    await images.aclose()
    assert not any(secret in str(rejected.value) for secret in ("hunter2", "hidden-path", "10.1.2.3"))
    assert rejected.value.__cause__ is None
    assert rejected.value.__context__ is None
