"""What the documents tell people to type: the fenced blocks of shell commands, by document and heading."""
import re

from gate import ROOT

FENCE = re.compile(r"^```(.*)$")
HEADING = re.compile(r"^#+ +(?:\d+\. +)?(.*?) *$")


def blocks(document, language="sh"):
    """Pairs of heading (without its number) and text, as they stand in the document (a path in this tree)."""
    heading, inside, found = "", None, []
    for line in (ROOT / document).read_text().splitlines():
        fence = FENCE.match(line)
        if inside is not None:
            if fence:
                if inside[0] == language:
                    found.append((heading, "".join(inside[1:])))
                inside = None
            else:
                inside.append(line + "\n")
        elif fence:
            inside = [fence.group(1).strip()]
        elif HEADING.match(line):
            heading = HEADING.match(line).group(1)
    assert inside is None, f"{document}: a block is not closed"
    return found


class Document:
    """A document whose commands are typed, section by section; at the end none may be left."""

    def __init__(self, name):
        self.name, self.left = name, blocks(name)

    def take(self, heading):
        """The commands of the next section of that name."""
        assert any(each == heading for each, _ in self.left), f"{self.name} has no more commands under {heading!r}: {self.left}"
        taken = [text for each, text in self.left if each == heading]
        self.left = [(each, text) for each, text in self.left if each != heading]
        return "".join(taken)

    def drop(self, *headings):
        """Leaves sections out, whose commands are for another place."""
        self.left = [(each, text) for each, text in self.left if each not in headings]
