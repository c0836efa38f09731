"""Ports that are taken, before anything starts."""

import socket

import pytest

from bench.harness.system import free_ports
from cli.up.ports import Port, PortError, check


def test_free_ports_are_fine():
    first, second = free_ports(2)
    check([Port(first, "A", "a"), Port(second, "B", "b", udp=True)])


@pytest.mark.parametrize("udp", [False, True])
def test_a_taken_port_is_named_with_its_setting(udp):
    (number,) = free_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as taker:
        taker.bind(("127.0.0.1", number))
        if not udp:
            taker.listen()
        with pytest.raises(PortError, match=rf"port {number} \(the thing\) is taken: .* set GREENROOM_THING"):
            check([Port(number, "GREENROOM_THING", "the thing", udp=udp)])


def test_every_taken_port_is_named_at_once():
    numbers = free_ports(2)
    with (
        socket.create_server(("127.0.0.1", numbers[0])),
        socket.create_server(("127.0.0.1", numbers[1])),
        pytest.raises(PortError) as refusal,
    ):
        check([Port(numbers[0], "ONE", "one"), Port(numbers[1], "TWO", "two")])
    assert [line.split("set ")[1].split()[0] for line in str(refusal.value).splitlines()] == ["ONE", "TWO"]


def test_one_number_for_two_uses_is_refused_by_both_names():
    (number,) = free_ports(1)
    with pytest.raises(PortError, match=f"port {number} is set twice: by ONE and by TWO"):
        check([Port(number, "ONE", "one"), Port(number, "TWO", "two")])


def test_one_number_for_tcp_and_udp_is_fine():
    (number,) = free_ports(1)
    check([Port(number, "ONE", "one"), Port(number, "TWO", "two", udp=True)])
