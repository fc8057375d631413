# SPDX-License-Identifier: GPL-2.0-only
"""Progress on stderr: what is being done and how long it has taken."""
import contextlib
import sys
import threading
import time

_quiet = False
_lock = threading.Lock()


def set_quiet(quiet):
    global _quiet
    _quiet = quiet


def say(text):
    if not _quiet:
        with _lock:
            print(f"xenbed: {text}", file=sys.stderr, flush=True)


def seconds(since):
    return f"{time.monotonic() - since:.1f} s"


@contextlib.contextmanager
def step(what, every=30):
    """Says what starts, that it goes on (every so many seconds), that it is done."""
    start = time.monotonic()
    done = threading.Event()

    def remind():
        while not done.wait(every):
            say(f"  ... {what}, {time.monotonic() - start:.0f} s so far")

    thread = threading.Thread(target=remind, daemon=True)
    say(f"{what} ...")
    thread.start()
    try:
        yield
    finally:
        done.set()
    say(f"{what}: done in {seconds(start)}")
