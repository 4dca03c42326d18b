#!/usr/bin/env python3
"""From a clone to a package: the commands of README.md and docs/install.md, typed on a clean Debian.

    from_clone.py [--clone DIR] [--prebuilt TARGET]

It takes as long as building a release takes, and so is no step of scripts/test. The Rust toolchain is this machine's
(~/.rustup, ~/.cargo; what is written there is thrown away); apt and cargo fetch what they lack. With --clone the clone is
made there, and stays: `first_hour.py --package` goes on with the package in it. --prebuilt takes the dependencies (and
nothing else) from a target directory that has built a release before.
"""
import argparse
import os
import pathlib
import shutil
import subprocess

import debian
import first_hour
import verdicts
from gate import ROOT, Directory
from told import Document


class FromClone:
    """The tests, in their order."""

    def __init__(self, clone, prebuilt):
        self.clone, self.prebuilt = clone, prebuilt

    def type(self, commands):
        home = pathlib.Path.home()
        cargo, rustup = os.environ.get("CARGO_HOME", home / ".cargo"), os.environ.get("RUSTUP_HOME", home / ".rustup")
        return debian.shell(first_hour.system(), f"cd /root/gatepost\n{commands}", f"--bind={self.clone}:/root/gatepost",
                            f"--bind-ro={rustup}:/root/.rustup", f"--overlay={cargo}::/root/.cargo", *trust())

    def demo(self):
        """The demo of the README builds and runs"""
        debian.need("git", "cargo")
        subprocess.run(["git", "clone", "--quiet", ROOT, self.clone], check=True)
        if self.prebuilt:
            dependencies(self.prebuilt, self.clone / "target")
        # The C compiler and make that it asks for.
        said = self.type("apt install gcc libc6-dev make\n" + Document("README.md").take("Five minutes"))
        return said.strip().splitlines()[-1]

    def package(self):
        """The commands from a clone make the package that is installed"""
        self.type(Document("docs/install.md").take("From a clone"))
        made = self.clone / f"gatepost_{first_hour.version()}_amd64.deb"
        return f"{made}: {made.stat().st_size >> 20} MiB"


def trust():
    """Whom this machine trusts cargo trusts there, too: it may sit behind a proxy with a root of its own."""
    roots = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    return [f"--bind-ro={roots}:/etc/roots.crt", "--setenv=CARGO_HTTP_CAINFO=/etc/roots.crt"] if roots.exists() else []


def dependencies(source, target):
    """Links what a build of a release has made, but for what is ours."""
    ours = shutil.ignore_patterns("*gatepost*", "incremental", "examples", ".cargo-lock")
    shutil.copytree(pathlib.Path(source) / "release", target / "release", ignore=ours, copy_function=os.link)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--clone", type=pathlib.Path)
    options.add_argument("--prebuilt", type=pathlib.Path)
    given = options.parse_args()
    with Directory() as directory:
        test = FromClone((given.clone or directory / "gatepost").absolute(), given.prebuilt)
        verdicts.run("from a clone: the demo, and a package", first_hour.chain([test.demo, test.package]))


if __name__ == "__main__":
    main()
