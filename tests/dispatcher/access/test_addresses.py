from ipaddress import ip_network

import pytest

from dispatcher.access.addresses import UNKNOWN, client_address, is_within

PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.1/32", "2001:db8:aa::/48")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("198.51.100.7", "", "198.51.100.7", id="whoever is connected"),
        pytest.param("198.51.100.7", "203.0.113.9", "198.51.100.7", id="who is no proxy may write what it likes"),
        pytest.param("10.0.0.1", "203.0.113.9", "203.0.113.9", id="a proxy's entry is believed"),
        pytest.param("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9", id="what its client wrote before is not"),
        pytest.param("10.0.0.1", "203.0.113.9,192.0.2.1, 10.9.9.9", "203.0.113.9", id="through three proxies"),
        pytest.param("10.0.0.1", "203.0.113.9, 192.0.2.2", "192.0.2.2", id="the second of which is not ours"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="the furthest proxy when all are ours"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2", id="what is no address ends the walk"),
        pytest.param("10.0.0.1", "203.0.113.9:4711", "203.0.113.9", id="a proxy that writes the port, too"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::3]:4711", "2001:db8:1:2::/64", id="the same with IPv6"),
        pytest.param("10.0.0.1", "[2001:db8:1:2::3]", "2001:db8:1:2::/64", id="or only the brackets of one"),
        pytest.param("10.0.0.1", "203.0.113.9:http", "10.0.0.1", id="a port that is none"),
        pytest.param("10.0.0.1", "2001:db8:1:2::3:4711", "2001:db8:1:2::/64", id="no port without brackets in IPv6"),
        pytest.param("10.0.0.1", "203.0.113.9,", "10.0.0.1", id="nothing is no address"),
        pytest.param("10.0.0.1", "203.0.113.09", "10.0.0.1", id="nor what others might read as octal"),
        pytest.param("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9", id="IPv4 inside of IPv6 is IPv4"),
        pytest.param("2001:db8:aa::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="an IPv6 network counts as one"),
        pytest.param("2001:db8:1:2::1", "", "2001:db8:1:2::/64", id="also when it is connected itself"),
        pytest.param("fe80::1%eth0", "", "fe80::/64", id="whatever interface it comes by"),
        pytest.param(None, "203.0.113.9", UNKNOWN, id="a connection without an address"),
        pytest.param("/run/socket", "203.0.113.9", UNKNOWN, id="or with another kind of one"),
    ],
)
def test_an_address_is_the_nearest_that_a_trusted_proxy_says(peer: str | None, forwarded: str, address: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == address


@pytest.mark.parametrize("forwarded", ["203.0.113.9", "127.0.0.1", "203.0.113.9, 127.0.0.1"])
def test_without_a_trusted_proxy_nothing_that_is_forwarded_is_believed(forwarded: str) -> None:
    assert client_address("127.0.0.1", forwarded, ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "network", "within"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("2001:db8:1:2::/64", "2001:db8:1::/48", True),
        ("2001:db8:2:2::/64", "2001:db8:1::/48", False),
        ("10.1.2.3", "::/0", False),
        (UNKNOWN, "0.0.0.0/0", False),
    ],
)
def test_an_address_is_found_in_its_network(address: str, network: str, within: bool) -> None:
    assert is_within(address, ip_network(network)) is within
