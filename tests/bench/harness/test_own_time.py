"""Time that passes only while this process waits or works."""

import asyncio
import time

from bench.harness.own_time import OwnTimeLoop


def run(what):
    with asyncio.Runner(loop_factory=OwnTimeLoop) as runner:
        return runner.run(what)


async def hour():
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await asyncio.sleep(3600)
    return loop.time() - begin


def test_an_hour_of_waiting_takes_no_time():
    begin = time.monotonic()
    assert 3600 <= run(hour()) < 3601
    assert time.monotonic() - begin < 5


def busy(seconds):
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        pass


async def beside_work():
    loop = asyncio.get_running_loop()
    begin = loop.time()
    work = loop.run_in_executor(None, busy, 0.2)
    await asyncio.sleep(0.1)
    rung = loop.time() - begin
    await work
    return rung, loop.time() - begin


def test_nothing_is_skipped_while_another_thread_works():
    rung, done = run(beside_work())
    assert 0.1 <= rung < 0.2
    assert 0.2 <= done < 0.4
