"""What scripts may reach: every notation of an address that is not public, and what is public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.config import EgressConfig
from flora.errors import StartupError
from flora.net.egress import EgressDeniedError, EgressUrlError, Policy, is_public, join_url, parse_url

POLICY = Policy(EgressConfig())

REFUSED = [
    # loopback in every notation of IPv4
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0X7F.0X0.0X0.0X1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://017700000001/",
    "http://0x7f.1/",
    "http://127.0x0.0.1/",
    "http://127.000.000.001/",
    "http://127.0.0.1./",
    "http://2130706433./",
    "http://127.255.255.254/",
    "http:127.0.0.1",
    "http:/127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http:////127.0.0.1/",
    "HtTp://127.0.0.1/",
    " \t http://127.0.0.1/ ",
    "ht\ntp://127.0\t.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    # characters that browsers map to ASCII
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://127｡0｡0｡1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://loca%6chost/",
    # names that mean this machine or the operator's network
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://foo.localhost/",
    "http://postgres/",
    "http://redis:6379/",
    "http://printer.local/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://vault.corp/",
    "http://nas.home.arpa/",
    "http://router.lan/",
    # this network, broadcast, private, carrier-grade NAT, link-local and metadata services
    "http://0/",
    "http://0.0.0.0/",
    "http://0x0/",
    "http://255.255.255.255/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://012.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://3232235521/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://169.254.43518/",
    "http://0251.0376.0251.0376/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    # IPv6: loopback, unspecified, mapped, compatible, translated, tunnelled, local, multicast, documentation
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:53aa:64c:0:fb:80ff:fffe]/",
    "http://[2001:20::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[2606:4700::5efe:7f00:1]/",
    "http://[2606:4700::200:5efe:10.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[5f00::1]/",
    "http://[100::1]/",
]

NOT_A_URL = [
    "",
    "/path",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "http://",
    "http:///",
    "http://:80/",
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://example.com:80@127.0.0.1:80/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://[127.0.0.1]/",
    "http://256.0.0.1/",
    "http://127.0.0.0.1/",
    "http://0x1ffffffff/",
    "http://08.0.0.1/",
    "http://1.2.3.4x.5/",
    "http://exa mple.com/",
    "http://example.com%00.evil.test/",
    "http://example.com%0d%0aHost:%20x/",
    "http://example%2fcom/",
    "http://exam\x7fple.com/",
    "http://exa..mple.com/",
    "http://-example.com/",
    "http://example.com:port/",
    "http://example.com:99999/",
    "http://example.com:-1/",
    "http://%ff.example.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 130 + "com/",
    "http://example.com/" + "a" * 20_000,
]

PUBLIC = {
    "https://example.com": ("example.com", 443, "/"),
    "https://EXAMPLE.com./a?b=c#d": ("example.com", 443, "/a?b=c"),
    "http://example.com:8080/ä b": ("example.com", 8080, "/%C3%A4%20b"),
    "http:\\\\example.com\\a?b\\c": ("example.com", 80, "/a?b\\c"),
    "https://münchen.de/": ("xn--mnchen-3ya.de", 443, "/"),
    "https://８.８.８.８/": ("8.8.8.8", 443, "/"),
    "https://0x08080808/": ("8.8.8.8", 443, "/"),
    "https://[2606:4700:4700:0:0::1111]/": ("2606:4700:4700::1111", 443, "/"),
    "https://example.com?q": ("example.com", 443, "/?q"),
    "https://1password.com/": ("1password.com", 443, "/"),
}


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_not_public_is_refused_in_every_notation(url: str) -> None:
    with pytest.raises(EgressDeniedError):
        POLICY.target(url)


@pytest.mark.parametrize("url", NOT_A_URL)
def test_what_is_no_url_for_a_request_is_refused(url: str) -> None:
    with pytest.raises(EgressUrlError):
        POLICY.target(url)


@pytest.mark.parametrize("url", PUBLIC)
def test_what_is_public_is_permitted(url: str) -> None:
    target = POLICY.target(url)
    assert (target.host, target.port, target.path) == PUBLIC[url]


@pytest.mark.parametrize("port", [22, 25, 53, 81, 110, 143, 465, 587, 993, 2049, 6000, 6667, 10080])
def test_ports_of_other_protocols_are_refused(port: int) -> None:
    with pytest.raises(EgressDeniedError):
        POLICY.target(f"http://example.com:{port}/")


def test_the_operator_s_lists() -> None:
    deny = Policy(EgressConfig(deny_hosts=("*.evil.test", "bad.test")))
    for host in ("evil.test", "a.b.evil.test", "EVIL.test.", "bad.test"):
        with pytest.raises(EgressDeniedError, match="does not allow"):
            deny.target(f"https://{host}/")
    assert deny.target("https://notevil.test/").host == "notevil.test"
    assert deny.target("https://sub.bad.test/").host == "sub.bad.test"

    allow = Policy(EgressConfig(allow_hosts=("api.good.test",), deny_hosts=("*.good.test",)))
    for host in ("other.test", "good.test", "api.good.test"):
        with pytest.raises(EgressDeniedError):
            allow.target(f"https://{host}/")
    assert Policy(EgressConfig(allow_hosts=("*.good.test",))).target("https://api.good.test/").tls


def test_a_private_network_that_the_operator_opens() -> None:
    policy = Policy(EgressConfig(allow_private_addresses=("192.168.7.0/24", "fd00::/8")))
    assert policy.target("http://192.168.7.9/").host == "192.168.7.9"
    assert policy.target("http://[fd00::1]/").host == "fd00::1"
    assert policy.target("http://nas.lan/").host == "nas.lan"  # its address decides
    for url in ("http://192.168.8.1/", "http://127.0.0.1/", "http://[::ffff:192.168.7.9]/"):
        with pytest.raises(EgressDeniedError):
            policy.target(url)


@pytest.mark.parametrize(
    "wrong",
    [
        {"allow_hosts": ("http://x/",)},
        {"deny_hosts": ("a b",)},
        {"allow_ports": ("http",)},
        {"allow_private_addresses": ("10.0.0.1/8",)},
    ],
)
def test_a_list_that_cannot_be_read_stops_the_start(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(StartupError, match=next(iter(wrong))):
        Policy(EgressConfig(**wrong))


@given(st.ip_addresses(v=4))
def test_ipv4_is_judged_as_python_s_registry_does(address: ipaddress.IPv4Address) -> None:
    """Whatever Python calls private, reserved or multicast is refused; flora refuses a few more."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_ipv6_is_judged_as_python_s_registry_does(address: ipaddress.IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None
        assert not address.is_multicast


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_typed_refusal(text: str) -> None:
    for url in (text, f"http://{text}", f"https://example.com/{text}"):
        try:
            target = parse_url(url)
        except EgressUrlError:
            continue
        assert target.host.isascii()
        assert target.path.isascii()
        assert not set(target.host + target.path) & set(" \r\n\t\0")
        assert parse_url(target.url) == target


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "https://example.com/b"),
        ("b?c", "https://example.com/x/b?c"),
        ("//127.0.0.1/", "https://127.0.0.1/"),
        ("\\\\127.0.0.1\\", "https://127.0.0.1/"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80/"),
    ],
)
def test_where_a_redirect_leads(location: str, leads_to: str) -> None:
    assert join_url("https://example.com/x/y", location) == leads_to
