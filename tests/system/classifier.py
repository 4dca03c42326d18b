#!/usr/bin/env python3
"""Teaches one half of a labelled corpus and judges the other with `gatepost scan`, and the reverse.

    classifier.py --corpus DIR [--gatepost BINARY] [--groups sa,csdmc] [--carry sa+csdmc:lists]

DIR holds `<class>.tar.xz` and `evaluate`, which cleans the messages: headers that betray the label are no part of them.
The first half of each class, in the order of names, is one half; --shuffled takes every other by a hash of its name.
--first ham (or spam) teaches all of that kind before any of the other; otherwise both come by turns.
Prints for each group and direction: AUC, recall at 0.1 % and 0.5 % false positives, without the classifier and with it.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile


def auc(ham, spam):
    ranked = sorted([(score, 0) for score in ham] + [(score, 1) for score in spam])
    rank, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        rank += sum(one[1] for one in ranked[at:end]) * (at + end + 1) / 2.0
        at = end
    return (rank - len(spam) * (len(spam) + 1) / 2.0) / (len(ham) * len(spam))


def recall(ham, spam, share):
    limit = sorted(ham, reverse=True)[int(share * len(ham) + 1e-9)]
    return sum(score > limit for score in spam) / len(spam)


class Corpus:
    def __init__(self, corpus, directory):
        self.directory = directory
        subprocess.run([sys.executable, os.path.join(corpus, "evaluate"), "--prepare", directory, "--view", "proxy"],
                       check=True, stdout=subprocess.DEVNULL)
        names = {}
        for archive in sorted(os.listdir(corpus)):
            if archive.endswith(".tar.xz"):
                with tarfile.open(os.path.join(corpus, archive), "r:xz") as members:
                    for name in members.getnames():
                        names[hashlib.sha1(name.encode()).hexdigest()[:16] + ".eml"] = name
        with open(os.path.join(directory, "envelopes.jsonl")) as lines:
            self.rows = [dict(json.loads(line)) for line in lines]
        for row in self.rows:
            row["name"] = names[row["path"]]
            row["class"] = row["name"].split("/")[0]
        with open(os.path.join(corpus, "classes.json")) as text:
            self.classes = json.load(text)["classes"]

    def group(self, name):
        return [row for row in self.rows if name in self.classes.get(row["class"], {}).get("groups", [])]


def halves(rows, shuffled):
    first, second = [], []
    for one in sorted({row["class"] for row in rows}):
        order = (lambda row: hashlib.sha1(row["name"].encode()).hexdigest()) if shuffled else (lambda row: row["name"])
        mine = sorted((row for row in rows if row["class"] == one), key=order)
        first += mine[: len(mine) // 2]
        second += mine[len(mine) // 2:]
    return first, second


def teach(binary, corpus, rows, directory, kinds):
    """The file of a store that has learned these messages: by turns, or all of the first of `kinds` and then the others."""
    store, config = os.path.join(directory, "store.redb"), os.path.join(directory, "gatepost.toml")
    with open(config, "w") as text:
        text.write('hostname = "mx.example.org"\n[[listen]]\naddress = "127.0.0.1:0"\n'
                   '[relay]\ndomains = ["example.org"]\n[backend]\nidentity = "none"\n'
                   '[[backend.member]]\naddress = "127.0.0.1:1"\n'
                   f'[store]\npath = "{store}"\n')
    rows = sorted(rows, key=lambda row: row["path"])
    batches = [("spam", "ham", at, at + 200) for at in range(0, len(rows), 200)]
    batches = [(kinds[0], kinds[1], 0, len(rows))] if kinds else batches
    for *order, start, end in batches:
        for kind in order:
            files = [os.path.join(corpus.directory, row["path"]) for row in rows[start:end] if row["class"].startswith(kind)]
            if files:
                subprocess.run([binary, "learn", kind, "--quiet", "--config", config, *files], check=True,
                               stdout=subprocess.DEVNULL)
    return store


def judge(binary, corpus, rows, directory, store):
    """Scores by path."""
    envelopes = os.path.join(directory, "some.jsonl")
    with open(envelopes, "w") as lines:
        for row in rows:
            lines.write(json.dumps({key: value for key, value in row.items() if key not in ("name", "class")}) + "\n")
    command = [binary, "scan", "--batch", corpus.directory, "--envelopes", envelopes]
    said = subprocess.run(command + (["--store", store] if store else []), check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    scores = {}
    for line in said.stdout.splitlines():
        one = json.loads(line)
        scores[os.path.basename(one["path"])] = one["score"]
    return scores


def measure(binary, corpus, what, taught, judged, kinds=None):
    with tempfile.TemporaryDirectory() as directory:
        store = teach(binary, corpus, taught, directory, kinds)
        for how, file in (("rules", None), ("with classifier", store)):
            scores = judge(binary, corpus, judged, directory, file)
            ham = [scores[row["path"]] for row in judged if row["class"].startswith("ham")]
            spam = [scores[row["path"]] for row in judged if row["class"].startswith("spam")]
            marked = sum(score >= 5 for score in ham)
            print(f"{what:24} {how:16} {len(ham):5} ham {len(spam):5} spam  AUC {auc(ham, spam):.5f}  "
                  f"R@0.1% {recall(ham, spam, 0.001):.4f}  R@0.5% {recall(ham, spam, 0.005):.4f}  "
                  f"ham from 5 on: {marked}, spam: {sum(score >= 5 for score in spam) / len(spam):.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--gatepost", default="target/release/gatepost")
    parser.add_argument("--groups", default="sa,csdmc,lists")
    parser.add_argument("--carry", default="sa+csdmc:lists,lists:sa,lists:csdmc,sa:csdmc")
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--first", choices=["ham", "spam"])
    arguments = parser.parse_args()
    kinds = {"ham": ("ham", "spam"), "spam": ("spam", "ham"), None: None}[arguments.first]
    with tempfile.TemporaryDirectory() as directory:
        corpus = Corpus(arguments.corpus, directory)
        for name in filter(None, arguments.groups.split(",")):
            first, second = halves(corpus.group(name), arguments.shuffled)
            measure(arguments.gatepost, corpus, f"{name} 1->2", first, second, kinds)
            measure(arguments.gatepost, corpus, f"{name} 2->1", second, first, kinds)
        for pair in filter(None, arguments.carry.split(",")):
            taught, judged = pair.split(":")
            rows = [row for name in taught.split("+") for row in corpus.group(name)]
            measure(arguments.gatepost, corpus, pair, rows, corpus.group(judged), kinds)


if __name__ == "__main__":
    main()
