import os
import threading

import pytest

from pipeline.local import lane


@pytest.mark.anyio
async def test_work_runs_off_the_event_loop_on_one_thread_in_order():
    order = []
    first = await lane.run(lambda: order.append(1) or threading.get_ident())
    second = await lane.run(lambda: order.append(2) or threading.get_ident())
    assert first == second != threading.get_ident()
    assert order == [1, 2]


@pytest.mark.anyio
async def test_an_error_reaches_who_asked_and_the_lane_goes_on():
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)
    assert await lane.run(lambda: 7) == 7


def test_giving_back_memory_leaves_what_is_in_use():
    kept = bytearray(b"x" * 1_000_000)
    lane.bound_heaps()
    lane.give_back()
    assert kept.count(b"x") == 1_000_000


def test_a_model_has_no_threads_that_a_fork_would_lose():
    options = lane.session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert not options.enable_cpu_mem_arena


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_a_forked_process_has_a_lane_of_its_own():
    lane._opened().submit(int).result()
    child = os.fork()
    if child == 0:
        os._exit(lane._opened().submit(int, "7").result(timeout=5))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
