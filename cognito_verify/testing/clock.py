"""Time that stands still until a test moves it."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """A clock for `clock=` of pools, verifiers and caches: it stands still, and nothing is patched.

        clock = Clock()
        pool = FakeUserPool(clock=clock)
        verifier, token = pool.verifier(), pool.access_token()  # the pool's verifiers share its clock
        clock.tick(3_600)  # the token has expired

    Args:
        now: Seconds since the epoch, where a test compares times. Without it the clock stands at the second in which it
            was made, so that programs which look at another clock take its tokens for fresh ones.

    Attributes:
        now: The seconds that it shows; may be set.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now: float = int(time.time()) if now is None else now

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now

    def tick(self, seconds: float = 1) -> None:
        """Let `seconds` pass at once; a negative number sets the clock back."""
        self.now += seconds

    def __repr__(self) -> str:
        return f"Clock({self.now!r})"
