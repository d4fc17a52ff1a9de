"""The files of editors know the keywords and types that the language has, and give the right kinds to the words of the
worked examples.   usage: test_editors.py BUILD_DIR"""
import json
import os
import re
import shutil
import subprocess
import tempfile

from common import ROOT, Skip, examples, main, read, tokens

VIM = os.path.join("editors", "vim", "syntax", "tenon.vim")
TEXTMATE = os.path.join("editors", "textmate", "tenon.tmLanguage.json")
KEYWORD = re.compile(r'^X\(\w+, "(\w+)", (\w+)\)$', re.MULTILINE)
OPERATORS = {"and", "or", "not"}
ITEMS = {"data", "train", "model", "module", "compress", "deploy", "test", "mesh", "dim"}


def keywords():
    """{word: HARD, LABEL or SOFT}"""
    return dict(KEYWORD.findall(read("frontend", "lang", "keywords.def")))


def type_names():
    """The names of types.c."""
    table = re.compile(r"static const char \*const names\[\] = \{(.*?)\};", re.DOTALL)
    listed = table.search(read("frontend", "lang", "type.c"))
    return set(re.findall(r'"(\w+)"', listed.group(1)))


def compare(what, found, wanted):
    if found != wanted or not wanted:
        yield f"{what}: too much {sorted(found - wanted)}, missing {sorted(wanted - found)}"


def vim_words(group):
    return {word for line in re.findall(rf"^syntax keyword {group} (.*)$", read(VIM), re.MULTILINE)
            for word in line.split()}


def alternatives(text):
    """The words of every (a|b|c) of only words."""
    return [set(found.split("|")) for found in re.findall(r"\((?:\?:)?([a-z0-9]+(?:\|[a-z0-9]+)+)\)", text)]


def vim_knows_the_words():
    hard = {word for word, kind in keywords().items() if kind != "SOFT"}
    soft = set(keywords()) - hard
    yield from compare("keywords", vim_words("tenonKeyword") | vim_words("tenonOperatorWord"), hard)
    matched = [words for words in alternatives(read(VIM).replace("%(", "(")) if words & soft]
    yield from compare("soft keywords", set().union(*matched), soft)
    yield from compare("types", vim_words("tenonType") & type_names(), type_names())


def textmate_knows_the_words():
    grammar = json.loads(read(TEXTMATE))
    words = {}
    for pattern in grammar["patterns"]:
        for name in ("match", "begin", "end"):
            re.compile(pattern.get(name, ""))
        for found in alternatives(pattern.get("match", "")):
            words.setdefault(pattern["name"].removesuffix(".tenon"), set()).update(found)
    hard = {word for word, kind in keywords().items() if kind != "SOFT"}
    yield from compare("keywords", words["keyword.control"] | words["keyword.operator.word"], hard)
    soft = words["keyword.declaration"] | words["keyword.other"]
    yield from compare("soft keywords", soft, set(keywords()) - hard)
    yield from compare("types", words["storage.type"] & type_names(), type_names())


def scopes(line, patterns):
    """{word: scope} of a line, by the pattern that matches earliest, as editors do it; strings end in the line."""
    found, at = {}, 0
    while at < len(line):
        best = None
        for pattern in patterns:
            expression = pattern.get("match") or pattern["begin"] + r'(?:[^"\\]|\\.)*"'
            match = re.compile(expression).search(line, at)
            if match and match.end() > match.start() and (best is None or match.start() < best[0].start()):
                best = (match, pattern["name"])
        if best is None:
            break
        found[best[0].group().strip()] = best[1]
        at = best[0].end()
    return found


def textmate_colours_examples():
    patterns = json.loads(read(TEXTMATE))["patterns"]
    seen = set()
    for name, text in examples().items():
        for number, line in enumerate(text.split("\n"), 1):
            given = scopes(line, patterns)
            first = re.match(r"(\w+) \w", line)
            if first and first.group(1) in ITEMS and given.get(first.group(1)) != "keyword.declaration.tenon":
                yield f"{name}:{number}: '{first.group(1)}' begins an item, found {given}"
            seen.update(given.values())
    for scope in ("comment.line.number-sign", "string.quoted.double", "constant.numeric", "keyword.control",
                  "storage.type", "keyword.declaration", "keyword.other", "variable.parameter", "keyword.operator"):
        if scope + ".tenon" not in seen:
            yield f"no example shows {scope}"


def vim_groups(path, places):
    """The name of the syntax group at each (line, column)."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = os.path.join(folder, "s.vim"), os.path.join(folder, "out")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"set nocompatible runtimepath^={os.path.join(ROOT, 'editors', 'vim')}\nfiletype on\nsyntax on\n"
                    f"edit {path}\nlet g:out = [&filetype]\n")
            for line, column in places:
                f.write(f"call add(g:out, synIDattr(synID({line}, {column}, 1), 'name'))\n")
            f.write(f"call writefile(g:out, '{out}')\nqall!\n")
        subprocess.run(["vim", "-u", "NONE", "-i", "NONE", "-n", "-es", "-S", script], timeout=60, check=False,
                       stdin=subprocess.DEVNULL, capture_output=True)
        with open(out, encoding="utf-8") as f:
            return f.read().split("\n")


def vim_colours_examples():
    if not shutil.which("vim"):
        raise Skip("there is no vim")
    wanted = {"#": "tenonComment", '"': "tenonString", "let": "tenonKeyword", "|>": "tenonOperator", "f32": "tenonType",
              "along": "tenonItem", "carry": "tenonItem", "model": "tenonItem", "train": "tenonItem",
              "dim": "tenonItem", "data": "tenonItem"}
    for name, text in examples().items():
        places, expected = [], []
        for token in tokens(text):
            word = token.group() if token.group() in wanted else token.group()[0]
            line_start = text.rfind("\n", 0, token.start()) + 1
            at_start = token.start() == line_start
            if word not in wanted or (word in ITEMS and not at_start):
                continue
            places.append((text.count("\n", 0, token.start()) + 1, token.start() - line_start + 1))
            expected.append((word, wanted[word]))
        groups = vim_groups(os.path.join(ROOT, "examples", name), places)
        if groups[0] != "tenon" or len(places) < 10:
            yield f"{name}: file type {groups[0]!r}, {len(places)} places"
        for place, (word, group), found in zip(places, expected, groups[1:]):
            if found != group:
                yield f"{name}:{place[0]}:{place[1]}: '{word}' is {found or 'nothing'}, not {group}"


if __name__ == "__main__":
    main([vim_knows_the_words, textmate_knows_the_words, textmate_colours_examples, vim_colours_examples])
