"""A lock between processes (and threads) on one machine, by a file."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
    import time

    def _acquire(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError:  # LK_LOCK gives up after ten seconds
                time.sleep(0)
            else:
                return

    def _acquire_now(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _share(descriptor: int, when_alone: Callable[[], None]) -> None:
        """Windows has no shared locks here: nobody is known to be alone."""

else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _acquire_now(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _share(descriptor: int, when_alone: Callable[[], None]) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            when_alone()
        fcntl.flock(descriptor, fcntl.LOCK_SH)


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Wait for the lock and hold it. The system frees it when the holder dies.

    Each call opens the file anew, so that threads of one process exclude each other too. The
    file stays: removing it would let two holders lock two different files of the same name.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor)
        try:
            yield
        finally:
            _release(descriptor)
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """The descriptor that holds the lock until it is closed, None if somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if _acquire_now(descriptor):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def shared_file(path: Path, when_alone: Callable[[], None]) -> Iterator[None]:
    """Be one of those who share the file; whoever finds nobody else there calls `when_alone`
    before anybody else gets in. The system forgets a sharer that dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _share(descriptor, when_alone)
        yield
    finally:
        os.close(descriptor)
