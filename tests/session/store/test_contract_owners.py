"""What both stores promise about the owners of sessions: how many they may have, and whose user is whose."""

import asyncio

import pytest

from session.errors import TooManySessions
from session.record import EndReason, Session, State, ended
from session.store.ports import StartResult, Store
from tests.session.making import NOON, a_session

pytestmark = pytest.mark.anyio
SHOP = "key:shop"


async def start(store: Store, name: str, *, owner: str, most: int | None = 2, user: str | None = None) -> StartResult:
    session = a_session(f"session_{name}", owner=owner, user_id=user)
    return await store.start(session, max_seats=99, op=f"start {name}", max_owned=most)


async def ends(store: Store, session: Session) -> None:
    await store.write(ended(session, EndReason.STOPPED, NOON), op="end")


@pytest.mark.parametrize("owner", [SHOP, "address:192.0.2.7"])
async def test_an_owner_has_so_many_live_sessions_and_no_more(store: Store, owner: str) -> None:
    first = await start(store, "a", owner=owner)
    await start(store, "b", owner=owner)
    with pytest.raises(TooManySessions):
        await start(store, "c", owner=owner)
    assert (await start(store, "a", owner=owner)).session == first.session
    await start(store, "d", owner="key:rival")
    await start(store, "e", owner=owner, most=None)
    await ends(store, first.session)
    with pytest.raises(TooManySessions):
        await start(store, "f", owner=owner)
    assert (await start(store, "g", owner=owner, most=3)).session.state is State.STARTING


async def test_of_many_at_once_so_many_begin(store: Store) -> None:
    names = [str(number) for number in range(20)]
    done = await asyncio.gather(*(start(store, each, owner=SHOP) for each in names), return_exceptions=True)
    assert sum(isinstance(each, TooManySessions) for each in done) == 18
    assert await store.seats() == 2


async def test_a_users_own_session_is_given_back_though_the_owner_has_all_it_may_have(store: Store) -> None:
    first = await start(store, "a", owner=SHOP, user="ann", most=1)
    again = await start(store, "b", owner=SHOP, user="ann", most=1)
    assert (again.reused, again.session.id) == (True, first.session.id)


async def test_an_address_is_given_nothing_back_for_naming_a_user(store: Store) -> None:
    here = await start(store, "a", owner="", user="ann")
    there = await start(store, "b", owner="address:192.0.2.7", user="ann")
    assert not there.reused
    assert not (await start(store, "c", owner="address:192.0.2.7", user="ann")).reused
    again = await start(store, "d", owner="", user="ann")
    assert (again.reused, again.session.id) == (True, here.session.id)


async def test_an_owners_live_sessions_are_counted(store: Store) -> None:
    first = await start(store, "a", owner=SHOP)
    await start(store, "b", owner=SHOP)
    await start(store, "c", owner="key:rival")
    assert (await store.owned(SHOP), await store.owned("key:nobody")) == (2, 0)
    await ends(store, first.session)
    assert await store.owned(SHOP) == 1
