"""What lies beside the repository and is not part of it: the conformance kit and the mail corpus."""
import os
import pathlib
import sys

from gate import ROOT

SHARED = pathlib.Path(os.environ.get("GATEPOST_SHARED", ROOT.parent / "shared"))


def dns_fixture(*also):
    """The kit's DNS server. Where it is absent, or one of the files `also`, the program ends as skipped."""
    for needed in (SHARED / "conformance" / "dns_fixture.py", *also):
        if not needed.exists():
            print(f"skipped: there is no {needed}")
            print("0 passed, 0 failed, 1 skipped")
            sys.exit(0)
    sys.path.insert(0, str(SHARED / "conformance"))
    from dns_fixture import DnsFixture
    return DnsFixture
