"""What the tests of the language share: where files of the language are, their tokens, judging many texts at once."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release")
TENON = os.path.join(BUILD, "bin", "tenon")
EACH = os.path.join(BUILD, "tests", "lang_each")
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|'
                   r'\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?\w*|\w+|\|>|\.\.|->|[=!<>+]=|\S')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def example_names():
    return sorted(name for name in os.listdir(os.path.join(ROOT, "examples")) if name.endswith(".tn"))


def examples():
    """{name: text} of the worked examples."""
    return {name: read("examples", name) for name in example_names()}


def tokens(text):
    """The matches of all tokens, comments among them."""
    return list(TOKEN.finditer(text))


def judge(texts, check=False):
    """A line of lang_each for each text. What came before a crash is kept; the crash is a line of its own."""
    data = b"".join(text.encode() + b"\0" for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [os.path.join(folder, "text.tn")] if check else []
        run = subprocess.run([EACH, *arguments], input=data, capture_output=True, timeout=280)
    lines = run.stdout.decode(errors="replace").splitlines()
    if run.returncode:
        lines.append(f"crash {run.returncode} {run.stderr.decode(errors='replace')[-2000:]}")
    return lines + ["not judged"] * (len(texts) - len(lines))


class Skip(Exception):
    """Raised by a test that cannot run here."""


def main(tests):
    """Runs functions that return a list of findings; prints the counts."""
    failed = skipped = 0
    for test in tests:
        try:
            findings = list(test())
        except Skip as reason:
            skipped += 1
            print("skip", test.__name__, reason)
            continue
        failed += bool(findings)
        print("FAIL" if findings else "ok  ", test.__name__)
        for finding in findings[:20]:
            print("     " + finding)
    print(f"{len(tests) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
