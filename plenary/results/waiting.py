"""Running coroutines from plain functions, in scripts, shells and notebooks alike.

One thread with one event loop serves all plain calls of a process: a notebook's own loop may be
running, and the clients of a LangChain model stay bound to the loop that they were first used in.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def waited(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns; an interrupt of the caller cancels it and waits for its end."""
    loop, context = _loop(), contextvars.copy_context()

    async def under() -> T:
        return await asyncio.create_task(coroutine, context=context)

    future = asyncio.run_coroutine_threadsafe(under(), loop)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        with suppress(CancelledError):
            future.result()
        raise


def _loop() -> asyncio.AbstractEventLoop:
    """The loop of this process: a forked one has none of its parent's threads."""
    with _lock:
        if os.getpid() not in _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="plenary", daemon=True).start()
            _loops[os.getpid()] = loop
        return _loops[os.getpid()]
