#!/usr/bin/env python3
"""Real mail through `gatepost scan`, as the corpus measures any scanner: loose floors, so that nothing breaks unseen.

    detection.py [--per-class N]

Needs the mail corpus. What detection is really worth is measured on all of it.
"""
import argparse
import json
import shlex
import subprocess
import sys

import verdicts
from gate import Directory, binary
from kit import SHARED

EVALUATE = SHARED / "corpus" / "evaluate"
# Far below what is reached: a rule set that does worse is broken, not weak.
AUC = 0.85
FALSE_POSITIVES = 0.01
RECALL = 0.40


def evaluate(directory, per_class, scan):
    report = directory / "report.json"
    subprocess.run([sys.executable, str(EVALUATE), "--per-class", str(per_class), "--missing", "penalise",
                    "--batch-cmd", scan + " --batch {dir} --envelopes {envelopes}", "--json", str(report)],
                   check=True, stdout=subprocess.DEVNULL, timeout=900)
    return json.loads(report.read_text())


def tests(directory, options):
    scan = f"{shlex.quote(binary())} scan"
    found = {}

    def every_message_is_scored():
        """Every message gets a score"""
        found.update(evaluate(directory, options.per_class, scan))
        assert found["messages"] > 0 and found["scored"] == found["messages"], found
        return f"{found['messages']} messages, {found['messages_per_s']} per second"

    def spam_scores_higher():
        """Spam scores higher than ham"""
        auc = {name: group["auc"] for name, group in found["groups"].items()}
        assert auc["ALL"] >= AUC, auc
        return " ".join(f"{name} {value:.4f}" for name, value in auc.items())

    def ham_is_left_alone():
        """At its own threshold it marks spam, and hardly any ham"""
        whole = found["groups"]["ALL"]
        assert whole["fpr"] <= FALSE_POSITIVES and whole["recall"] >= RECALL, whole
        return f"{whole['fp']} of {whole['ham']} ham marked, recall {whole['recall']}"

    def twice_is_once():
        """The same mail gets the same scores"""
        prepared = directory / "prepared"
        subprocess.run([sys.executable, str(EVALUATE), "--per-class", "5", "--prepare", str(prepared)], check=True,
                       stdout=subprocess.DEVNULL)
        command = [binary(), "scan", "--batch", str(prepared), "--envelopes", str(prepared / "envelopes.jsonl")]
        one, other = (subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2))
        assert one == other and one.count("\n") > 10, "they differ"

    return [every_message_is_scored, spam_scores_higher, ham_is_left_alone, twice_is_once]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-class", type=int, default=40)
    options = parser.parse_args()
    if not EVALUATE.exists():
        print(f"skipped: there is no {EVALUATE}")
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    with Directory() as directory:
        verdicts.run("Detection on real mail", tests(directory, options))


if __name__ == "__main__":
    main()
