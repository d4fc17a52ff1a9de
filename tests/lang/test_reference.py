"""Every example of grammar/LANGUAGE.md passes tenon check, or gives the error its fence names; those that pass are in
the form of tenon fmt. The list of functions is what tenon has, and every keyword is told.
usage: test_reference.py BUILD_DIR"""
import difflib
import os
import re
import subprocess
import tempfile

from common import TENON, judge, main, read

REFERENCE = read("grammar", "LANGUAGE.md")
FENCE = re.compile(r"^```tn(?: error=(TN\d{4}))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEYWORD = re.compile(r'^X\(\w+, "(\w+)", \w+\)$', re.MULTILINE)


def blocks():
    """(line, code of the error or None, text)"""
    for found in FENCE.finditer(REFERENCE):
        yield REFERENCE[:found.start()].count("\n") + 2, found.group(1), found.group(2)


def tenon(*words):
    return subprocess.run([TENON, *words], capture_output=True, text=True, timeout=60)


def check(text, *words):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "example.tn")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return tenon(*words, path)


def examples_check():
    """A warning is as good as an error, but that a file of several models does not say which is built."""
    found = list(blocks())
    if len(found) < 15:
        yield f"only {len(found)} examples were found"
    for line, code, text in found:
        done = check(text, "check", "-Werror", "-Wno-TN0733")
        if not code and (done.returncode or done.stderr):
            yield f"LANGUAGE.md:{line}: {done.stderr}"
        if code and (done.returncode != 1 or f"[{code}]" not in done.stderr or done.stderr.count("error:") != 1):
            yield f"LANGUAGE.md:{line}: expected {code} alone: {done.returncode} {done.stderr}"


def examples_are_formatted():
    valid = [(line, text) for line, code, text in blocks() if not code]
    for (line, text), verdict in zip(valid, judge([text for _, text in valid])):
        if verdict != "ok":
            yield f"LANGUAGE.md:{line}: {verdict}"
        done = check(text, "fmt", "--check")
        if done.returncode:
            yield f"LANGUAGE.md:{line}: {done.stderr}"


def functions_are_listed():
    listed = re.search(r"^```text\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL).group(1).split("\n")
    wanted = tenon("--print-functions").stdout.split("\n")
    if listed != wanted or len(wanted) < 100:
        yield "the list of functions is not what tenon --print-functions prints:"
        yield from (line for line in difflib.unified_diff(listed, wanted, "LANGUAGE.md", "tenon", "", "", 0, ""))


def keywords_are_told():
    keywords = KEYWORD.findall(read("frontend", "lang", "keywords.def"))
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", REFERENCE))))
    if len(keywords) < 30:
        yield f"only {len(keywords)} keywords were found"
    for keyword in keywords:
        if keyword not in told:
            yield f"the keyword {keyword} is not told"


if __name__ == "__main__":
    main([examples_check, examples_are_formatted, functions_are_listed, keywords_are_told])
