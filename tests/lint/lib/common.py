"""What the scripts of this folder share. Each prints one line a finding and ends with status 1 when there is one."""
import os
import re


def sources(root, folders, endings=(".c", ".h")):
    """(path from root, lines) of every file with such an ending, sorted."""
    for folder in folders:
        for top, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith(endings):
                    path = os.path.join(top, name)
                    with open(path, encoding="utf-8") as f:
                        yield os.path.relpath(path, root), f.read().split("\n")


def without_comments(lines):
    """The same lines with comments and the insides of strings blanked, so that code alone can be searched."""
    def blank(match):
        text = match.group(0)
        if text.startswith("/"):
            return re.sub(r"[^\n]", " ", text)
        return text[0] + " " * (len(text) - 2) + text[-1]
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    return re.sub(pattern, blank, "\n".join(lines), flags=re.S).split("\n")


def report(findings):
    """Exit status; prints the findings."""
    n = 0
    for finding in findings:
        print(finding)
        n += 1
    return 1 if n else 0
