"""tenon fmt: the worked examples are in its form; texts with other spacing, comments and line breaks keep their trees
and their comments, and formatting the result changes nothing; files are written in place, or not at all.
usage: test_format.py BUILD_DIR"""
import os
import random
import subprocess
import tempfile

from common import ROOT, TENON, example_names, examples, judge, main, read, tokens

N_VARIANTS = 40


def run(*words, text=None):
    return subprocess.run([TENON, *words], input=text, capture_output=True, text=True, timeout=60)


def with_all_forms():
    return dict(examples(), **{"all_forms.tn": read("tests", "fuzz", "corpus", "lang", "all_forms.tn")})


def variant(text, rng):
    """The same tokens with other blanks, comments and empty lines; lines break only where that means nothing."""
    out, depth, at = [], 0, 0
    for i, token in enumerate(tokens(text)):
        gap, word = text[at:token.start()], token.group()
        at = token.end()
        if "\n" in gap:
            gap = "\n" * rng.randint(1, 3) if gap.count("\n") == 1 else "\n" * rng.randint(2, 4)
            if rng.random() < 0.1:
                gap += f"# own {i}\n"
            gap += " " * rng.randint(0, 9)
        elif depth > 0 and rng.random() < 0.15 and not word.startswith("#"):
            gap = f"  # side {i}\n" if rng.random() < 0.3 else "\n" + " " * rng.randint(0, 5)
        elif gap or word.startswith("#"):
            gap = " " * rng.randint(1, 4)
        out.append(gap + word)
        depth += (word in ("(", "[")) - (word in (")", "]"))
    return "".join(out) + "\n" * rng.randint(0, 3)


def comments(text):
    return [t.group().rstrip() for t in tokens(text) if t.group().startswith("#")]


def examples_are_formatted():
    found = run("fmt", "--check", *[os.path.join(ROOT, "examples", name) for name in example_names()])
    if found.returncode or not example_names():
        yield found.stderr


def trees_are_kept_and_results_stable():
    for name, text in with_all_forms().items():
        rng = random.Random(name)
        texts = [text] + [variant(text, rng) for _ in range(N_VARIANTS)]
        for made, verdict in zip(texts, judge(texts)):
            if verdict != "ok":
                yield f"{name}: {verdict}: {made!r:.300}"


def comments_are_kept():
    for name, text in with_all_forms().items():
        made = variant(text, random.Random(name + "c"))
        formatted = run("fmt", "-", text=made)
        if comments(formatted.stdout) != comments(made) or not comments(made):
            yield f"{name}: {formatted.stderr} {comments(made)} became {comments(formatted.stdout)}"


def files_are_written_in_place():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.tn")
        with open(path, "w", encoding="utf-8") as f:
            f.write("let a=1+2 ;\n\n\n\nlet b   = 3")
        os.chmod(path, 0o640)
        check = run("fmt", "--check", path)
        if check.returncode != 1 or "TN0703" not in check.stderr or f"{path}:1:6: error" not in check.stderr:
            yield f"--check: {check.returncode} {check.stderr}"
        done = run("fmt", path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if done.returncode or text != "let a = 1 + 2\n\nlet b = 3\n" or os.stat(path).st_mode & 0o777 != 0o640:
            yield f"fmt: {done.returncode} {done.stderr} {text!r}"
        before = os.stat(path)
        if run("fmt", path).returncode or os.stat(path).st_mtime_ns != before.st_mtime_ns:
            yield "a formatted file was written again"
        if run("fmt", path, "-o", "-").stdout != text:
            yield "fmt -o - does not print the file"
        if run("fmt", "--check", path).returncode:
            yield "--check refuses what fmt wrote"


def files_with_errors_are_left_alone():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.tn")
        with open(path, "w", encoding="utf-8") as f:
            f.write("let a=(1\n")
        done = run("fmt", path)
        with open(path, encoding="utf-8") as f:
            if done.returncode != 1 or "TN0702" not in done.stderr or f.read() != "let a=(1\n":
                yield f"{done.returncode} {done.stderr}"
        if os.listdir(folder) != ["a.tn"]:
            yield f"left behind: {os.listdir(folder)}"


if __name__ == "__main__":
    main([examples_are_formatted, trees_are_kept_and_results_stable, comments_are_kept, files_are_written_in_place,
          files_with_errors_are_left_alone])
