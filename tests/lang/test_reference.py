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
FENCE = re.compile(r"^```tn(?: error=(TN\d{4})| with=(\w+\.onnx))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEYWORD = re.compile(r'^X\(\w+, "(\w+)", \w+\)$', re.MULTILINE)


def blocks():
    """(line, code of the error or None, text)"""
    for found in FENCE.finditer(REFERENCE):
        yield REFERENCE[:found.start()].count("\n") + 2, found.group(1), found.group(3)


def tenon(*words):
    return subprocess.run([TENON, *words], capture_output=True, text=True, timeout=60)


def field(number, data):
    """One of ONNX's messages in another."""
    if isinstance(data, int):
        return bytes([number << 3, data])
    data = data.encode() if isinstance(data, str) else data
    return bytes([number << 3 | 2, len(data)]) + data


def write_onnx(path):
    """y = x + x, of f32[N, 4]."""
    dims = field(1, field(2, "N")) + field(1, field(1, 4))
    tensor = field(2, field(1, field(1, 1) + field(2, dims)))
    node = field(1, "x") + field(1, "x") + field(2, "y") + field(4, "Add")
    graph = field(1, node) + field(2, "g") + field(11, field(1, "x") + tensor) + field(12, field(1, "y") + tensor)
    with open(path, "wb") as f:
        f.write(field(1, 8) + field(7, graph) + field(8, field(2, 17)))


def check(text, *words):
    with tempfile.TemporaryDirectory() as folder:
        for name in re.findall(r'onnx\("(\w+\.onnx)"\)', text):
            write_onnx(os.path.join(folder, name))
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
