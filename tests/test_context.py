"""The token of the request that is being handled: there inside, gone outside, and nobody else's."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context

import pytest

from cognito_verify.context import (
    begin_request,
    clear_current_token,
    current_token,
    set_current_token,
    token_in_context,
    without_token,
)
from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken


def token_of(username: str) -> AccessToken:
    pool = FakeUserPool()
    return pool.verifier().verify(pool.access_token(username=username))


def test_there_is_a_token_inside_and_none_outside() -> None:
    token = token_of("ada")
    assert current_token() is None
    with token_in_context(token):
        assert current_token() is token
    assert current_token() is None


@pytest.mark.parametrize("raised", [ValueError("no"), KeyboardInterrupt(), SystemExit()], ids=repr)
def test_the_token_is_gone_however_the_block_ends(raised: BaseException) -> None:
    with pytest.raises(type(raised)), token_in_context(token_of("ada")):
        raise raised
    assert current_token() is None


def test_an_inner_request_gives_the_outer_one_its_token_back() -> None:
    outer, inner = token_of("ada"), token_of("bob")
    with token_in_context(outer):
        with token_in_context(inner):
            assert current_token() is inner
        assert current_token() is outer


def test_a_thread_has_no_token_of_another() -> None:
    found: list[object] = []
    with token_in_context(token_of("ada")):
        thread = threading.Thread(target=lambda: found.append(current_token()))
        thread.start()
        thread.join()
    assert found == [None]


def test_what_a_request_started_has_its_token_until_it_ends_and_none_afterwards() -> None:
    async def worker(found: list[object], ended: asyncio.Event) -> None:
        found.append(current_token())
        await ended.wait()
        found.extend([current_token(), await asyncio.to_thread(current_token)])

    async def main() -> None:
        found: list[object] = []
        ended, token = asyncio.Event(), token_of("ada")
        with token_in_context(token):
            task = asyncio.create_task(worker(found, ended))
            await asyncio.sleep(0)
        ended.set()
        await task
        assert found == [token, None, None]

    asyncio.run(main())


def test_what_was_set_without_a_block_is_gone_from_every_copy_when_it_is_cleared() -> None:
    set_current_token(token_of("ada"))
    copies = [copy_context() for _ in range(2)]
    set_current_token(token_of("bob"))
    copies.append(copy_context())
    assert [copy.run(lambda: (token := current_token()) and token.username) for copy in copies] == [None, None, "bob"]
    copies[-1].run(clear_current_token)  # in a context of its own, as Django's signals are under ASGI
    assert current_token() is None


def test_a_block_keeps_its_token_whatever_is_set_and_cleared_within_it() -> None:
    outer, inner = token_of("ada"), token_of("bob")
    with token_in_context(outer):
        clear_current_token()
        assert current_token() is outer
        set_current_token(inner)
        set_current_token(token_of("eve"))
        copied = copy_context()
        with token_in_context(inner):
            clear_current_token()
            assert current_token() is inner
        clear_current_token()
        assert current_token() is outer
        assert copied.run(current_token) is None
        set_current_token(None)
        assert current_token() is None
        clear_current_token()
        assert current_token() is outer


def test_a_block_that_ends_empties_what_was_set_within_it() -> None:
    with token_in_context(token_of("ada")):
        set_current_token(token_of("bob"))
        copied = copy_context()
    assert current_token() is copied.run(current_token) is None


def test_a_request_begins_without_a_token_but_that_of_a_middleware_around_it() -> None:
    ada, bob = token_of("ada"), token_of("bob")
    set_current_token(bob)
    begin_request(None)
    assert current_token() is None
    with token_in_context(ada):
        begin_request(ada)
        assert current_token() is ada
        for verified in (None, bob):  # a request that the handler of the first makes
            begin_request(verified)
            assert current_token() is None
            set_current_token(bob)
            assert current_token() is bob
            clear_current_token()
            assert current_token() is ada


def test_what_runs_outside_of_the_request_has_no_token_and_starts_none_with_it() -> None:
    async def found(*values: int) -> tuple[object, ...]:
        return (*values, current_token(), await asyncio.create_task(asyncio.sleep(0, current_token())))

    async def failing() -> None:
        raise ValueError("no")

    async def main() -> None:
        token = token_of("ada")
        with token_in_context(token):
            assert await without_token(found)(1, 2) == (1, 2, None, None)
            assert current_token() is token
            with pytest.raises(ValueError, match="no"):
                await without_token(failing)()
            assert current_token() is token

    asyncio.run(main())


def test_tasks_have_their_own_tokens() -> None:
    async def handled(token: AccessToken, barrier: asyncio.Barrier) -> None:
        with token_in_context(token):
            await barrier.wait()
            assert current_token() is token
            await barrier.wait()
        assert current_token() is None

    async def main() -> None:
        barrier = asyncio.Barrier(3)
        await asyncio.gather(*(handled(token_of(name), barrier) for name in ("ada", "bob", "eve")))
        assert current_token() is None

    asyncio.run(main())
