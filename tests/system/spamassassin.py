#!/usr/bin/env python3
"""SpamAssassin's rules, run by Gatepost and by SpamAssassin itself over the same messages: do the same rules hit?

Needs SpamAssassin (Debian: spamassassin) and the mail corpus; says so and ends where one is absent. Hits are compared
rule by rule, those of rules only that run here. Each disagreement belongs to the rule that it is about:

    missed    SpamAssassin's rule hits, ours does not
    extra     ours hits, SpamAssassin's does not

A rule that is arithmetic over others (meta) only passes on what those disagree about; it is counted all the same.
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from gate import binary
from kit import SHARED

# Where Debian says which plugins are loaded (*.pre). Its local.cf is not to be read.
PLUGINS = pathlib.Path("/etc/spamassassin")
RULES = pathlib.Path("/usr/share/spamassassin")
# Written by sa-update's authors for tests and as an example: not part of the rules.
NOT_RULES = {"regression_tests.cf", "local.cf"}
LEAST = 0.99

THEIRS = r"""
use strict; use warnings; use Mail::SpamAssassin;
my $sa = Mail::SpamAssassin->new({ local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => '/dev/null',
    userstate_dir => $ENV{STATE}, home_dir_for_helpers => $ENV{STATE}, site_rules_filename => $ENV{PLUGINS} });
$sa->compile_now(0, 1);
$| = 1;
while (my $path = <STDIN>) {
    chomp $path;
    open my $in, '<', $path or die "$path: $!"; binmode $in; my @lines = <$in>; close $in;
    my $mail = $sa->parse(\@lines, 1);
    my $status = $sa->check($mail);
    my ($name) = $path =~ m{([^/]+)$};
    print join("\t", $name, $status->get_names_of_tests_hit, $status->get_names_of_subtests_hit), "\n";
    $status->finish; $mail->finish;
}
"""


def theirs(paths, state):
    """The rules that hit each message, by SpamAssassin."""
    plugins = state / "site"
    plugins.mkdir()
    for file in PLUGINS.glob("*.pre"):
        shutil.copy(file, plugins)
    run = subprocess.run(["perl", "-e", THEIRS], input="\n".join(map(str, paths)) + "\n", text=True,
                         stdout=subprocess.PIPE, env={**os.environ, "STATE": str(state), "PLUGINS": str(plugins)}, check=True)
    found = {}
    for line in run.stdout.splitlines():
        name, *hits = line.split("\t")
        found[name] = {rule for part in hits for rule in part.split(",") if rule}
    return found


def ours(binary, files, directory):
    """The rules that hit each message, by Gatepost."""
    command = [binary, "rules", "import-report", *map(str, files), "--hits", str(directory)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return {line["path"]: set(line["hits"]) | set(line["inner"]) for line in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-class", type=int, default=50)
    parser.add_argument("--least", type=float, default=LEAST, help="share of hits that must agree")
    arguments = parser.parse_args()
    program = binary()
    evaluate = SHARED / "corpus" / "evaluate"
    if not shutil.which("spamassassin") or not RULES.is_dir():
        return print("skipped: no SpamAssassin on this machine")
    if not evaluate.exists():
        return print("skipped: no mail corpus beside the repository")
    files = sorted(path for path in RULES.glob("*.cf") if path.name not in NOT_RULES)
    report = subprocess.run([program, "rules", "import-report", *map(str, files), "--json"],
                            stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(report.stdout)
    ignored = {rule["rule"] for rule in report["unsupported"]} | set(report["idle"])
    for kind, count in report["kinds"].items():
        print(f"{kind:12}{count['runs']:6} of {count['rules']:5} rules run")
    print(f"score lost: {report['score_lost']:.1f} of {report['score_mass']:.1f}")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        prepared = work / "messages"
        subprocess.run([str(evaluate), "--prepare", str(prepared), "--per-class", str(arguments.per_class)],
                       stdout=subprocess.DEVNULL, check=True)
        paths = sorted(prepared.glob("**/*.eml"))
        left = theirs(paths, work)
        right = ours(program, files, paths[0].parent)
    missed, extra, agreed = collections.Counter(), collections.Counter(), 0
    for name in left.keys() & right.keys():
        mine, other = right[name] - ignored, left[name] - ignored
        agreed += len(mine & other)
        missed.update(other - mine)
        extra.update(mine - other)
    print(f"\n{len(left.keys() & right.keys())} messages, {agreed} hits agree")
    for what, counter in (("missed", missed), ("extra", extra)):
        print(f"{what}: {sum(counter.values())} hits of {len(counter)} rules")
        for rule, count in counter.most_common(40):
            print(f"    {count:5}  {rule}")
    of_all = agreed + sum(missed.values()) + sum(extra.values())
    share = agreed / max(of_all, 1)
    print(f"\nagreement: {share:.2%} of {of_all} hits")
    return None if share >= arguments.least else f"less than {arguments.least:.0%} of the hits agree"


if __name__ == "__main__":
    sys.exit(main())
