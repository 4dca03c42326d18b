"""Runs test functions, prints what became of each, and ends with one line of counts."""
import os
import sys
import time
import traceback


class Skip(Exception):
    """Something that the test needs is not on this machine. In CI that is a failure."""


class Impossible(Skip):
    """Something that this machine forbids, whatever is installed on it, such as mounts in a container. CI skips it, too."""


def need_root(what):
    if os.geteuid() != 0:
        raise Skip(f"{what} needs root")


def eventually(claim, condition, wait=60.0):
    """Waits until `condition()` is true; its last value is returned."""
    end = time.monotonic() + wait
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {wait:.0f} s: {claim}"
        time.sleep(0.05)
    return value


def run(title, tests):
    """Runs `tests` in order (functions without arguments; the docstring is the claim)."""
    passed = failed = skipped = 0
    print(f"{title}")
    for test in tests:
        claim = (test.__doc__ or test.__name__).strip().splitlines()[0]
        began = time.monotonic()
        try:
            note = test()
            verdict, passed = "ok", passed + 1
        except Skip as reason:
            note = str(reason)
            if os.environ.get("CI") == "true" and not isinstance(reason, Impossible):
                verdict, failed = "FAILED", failed + 1
            else:
                verdict, skipped = "skipped", skipped + 1
        except Exception:
            verdict, note, failed = "FAILED", traceback.format_exc().rstrip(), failed + 1
        print(f"  {verdict:<7} {claim} ({time.monotonic() - began:.1f} s)", flush=True)
        for line in (note or "").splitlines():
            print(f"            {line}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
