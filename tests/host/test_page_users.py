"""Who is logged in to the page, over the days after which a 32-bit board's ticks begin anew."""

import asyncio

import pytest

from carbonterm.errors import AccessError
from carbonterm_device.page.sessions import IDLE_MS, Sessions
from carbonterm_device.page.users import FREE, Door
from paged import users
from wrapping import Ticks, pass_by


def test_a_session_that_is_over_stays_so():
    port = Ticks()
    sessions = Sessions(port)
    said = sessions.begin("somebody")
    port.now += IDLE_MS
    assert sessions.find(said) is not None
    pass_by(port, 7, sessions.look)  # by the ticks it would be young again
    assert sessions.find(said) is None


@pytest.mark.slow
def test_nobody_waits_again_for_what_is_long_past():
    port, text = Ticks(), users()
    door = Door(lambda: text.encode(), port)

    async def wrong(times):
        for _ in range(times):
            with pytest.raises(AccessError):
                await door.enter("zhang", "wrong")

    asyncio.run(wrong(FREE + 1))
    with pytest.raises(AccessError, match="try again in 2 s"):
        asyncio.run(door.enter("zhang", "a secret of zhang"))
    pass_by(port, 7, door.look)
    asyncio.run(wrong(1))  # what was wrong before is not forgotten
    assert door.waits("zhang", door.users()) == 4
    pass_by(port, 7, door.look)
    assert asyncio.run(door.enter("zhang", "a secret of zhang")).role == "administrator"


@pytest.mark.slow
def test_who_is_another_now():
    text = users()
    door = Door(lambda: text.encode(), Ticks())
    user = asyncio.run(door.enter("zhang", "a secret of zhang"))
    assert door.knows(user)
    for change in (("zhang administrator", "zhang viewer"), ("zhang administrator", "chang administrator"),
                   ("1000 000102", "1000 010102")):  # fmt: skip
        text = users().replace(*change)
        assert not door.knows(user), change
