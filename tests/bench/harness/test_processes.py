"""Memory and processor time from the kernel's books."""

import os
import socket
import time

import psutil
import pytest

from bench.harness.processes import CpuMeter, in_a_call, memory, parsed, total_pss

ROLLUP = """\
00400000-7fff00000000 ---p 00000000 00:00 0                  [rollup]
Rss:              200000 kB
Pss:              102400 kB
Pss_Dirty:         50000 kB
Private_Clean:      1024 kB
Private_Dirty:     10240 kB
Anonymous:        153600 kB
"""


def test_memory_of_its_own_is_what_nobody_else_maps():
    found = parsed(ROLLUP)
    assert (found.own, found.pss, found.allocated) == (11.0, 100.0, 150.0)


def test_memory_that_a_process_takes_is_seen():
    before = memory(os.getpid())
    taken = bytearray(os.urandom(1)) * (30 * 1024 * 1024)
    after = memory(os.getpid())
    assert 28 < after.own - before.own < 40
    assert total_pss([os.getpid(), 2**22 + 1]) == pytest.approx(after.pss, abs=5)  # who is gone uses nothing
    assert taken


def test_processor_time_is_measured_by_wall_time():
    meter = CpuMeter(psutil.Process())
    used = time.process_time() + 0.3
    while time.process_time() < used:
        pass
    busy = meter.cores()
    assert 0.05 < busy <= 1.5


def test_a_process_with_media_is_told_from_one_without():
    assert not in_a_call(psutil.Process())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        assert in_a_call(psutil.Process())
