import pytest

from dispatcher.access.loopback import from_loopback, host_name


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        pytest.param("127.0.0.1", {"host": "localhost:8080"}, True, id="a program of this machine"),
        pytest.param("127.0.0.1", {"host": "127.0.0.1:8080"}, True, id="by the number"),
        pytest.param("127.8.9.1", {"host": "LOCALHOST"}, True, id="any loopback address, name in capitals"),
        pytest.param("::1", {"host": "[::1]:8080"}, True, id="IPv6"),
        pytest.param("::ffff:127.0.0.1", {"host": "localhost"}, True, id="IPv4 inside IPv6"),
        pytest.param("192.0.2.7", {"host": "localhost"}, False, id="another machine that names itself so"),
        pytest.param("127.0.0.1", {"host": "evil.example:8080"}, False, id="a page whose name was rebound"),
        pytest.param("127.0.0.1", {"host": "localhost.evil.example"}, False, id="a name that only begins so"),
        pytest.param("127.0.0.1", {}, False, id="no Host"),
        pytest.param(None, {"host": "localhost"}, False, id="no peer"),
        pytest.param("127.0.0.1", {"host": "localhost", "x-forwarded-for": "127.0.0.1"}, False, id="a proxy here"),
        pytest.param("127.0.0.1", {"host": "localhost", "forwarded": "for=1.2.3.4"}, False, id="RFC 7239"),
        pytest.param("127.0.0.1", {"host": "localhost", "x-real-ip": ""}, False, id="an empty header counts"),
        pytest.param("127.0.0.1", {"host": "localhost", "cf-connecting-ip": "1.2.3.4"}, False, id="Cloudflare"),
        pytest.param("127.0.0.1", {"host": "localhost", "fly-client-ip": "1.2.3.4"}, False, id="the configured one"),
    ],
)
def test_what_comes_from_this_machine_itself(peer: str | None, headers: dict[str, str], expected: bool) -> None:
    assert from_loopback(peer, headers, ip_header="fly-client-ip") is expected


@pytest.mark.parametrize(
    ("host", "name"),
    [("a.example:80", "a.example"), ("[::1]:80", "::1"), ("::1", "::1"), ("A", "a"), ("", ""), ("[::1", "::1")],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name
