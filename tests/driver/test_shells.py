"""The completions that --print-completion writes, asked in the shells themselves, and the manual page.
usage: test_shells.py BUILD_DIR"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv.pop(1))
BIN = os.path.join(BUILD, "bin")
ENV = dict(os.environ, PATH=BIN + os.pathsep + os.environ["PATH"], LC_ALL="C.UTF-8")

ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
line() { zpty -w z "$1" }
line 'PS1=; PS2=; unsetopt prompt_cr zle_bracketed_paste; stty columns 200'
line "autoload -Uz compinit; compinit -u -D; source $1; zstyle ':completion:*' list-colors ''; LISTMAX=1000"
line 'bindkey "^I" complete-word; print READY-$((1+1))'
zpty -r z got '*READY-2*'
zpty -w -n z "$2"$'\t\t'
sleep 1
zpty -w -n z $'\C-u'
line 'print DONE-$((1+1))'
zpty -r z got '*DONE-2*'
print -r -- $got
"""


def run(*words, **kw):
    return subprocess.run(words, capture_output=True, text=True, env=ENV, check=True, timeout=60, **kw).stdout


def completions(shell):
    return run("tenon", "--print-completion=" + shell)


class Shells(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def script(self, shell):
        if shutil.which(shell) is None:
            self.skipTest(shell + " is not installed")
        path = os.path.join(self.folder, "tenon." + shell)
        with open(path, "w") as f:
            f.write(completions(shell))
        return path

    def bash(self, *words):
        ask = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tenon; printf "%s\\n" "${COMPREPLY[@]}"'
        return run("bash", "--norc", "-c", ask, "bash", self.script("bash"), *words, cwd=self.folder).split("\n")[:-1]

    def test_bash(self):
        self.assertEqual(self.bash("tenon", "--memory-l"), ["--memory-limit"])
        self.assertEqual(self.bash("tenon", "-fsanitize", "=", "t"), ["thread"])
        self.assertIn("onnx", self.bash("tenon", "-x", ""))
        self.assertIn("softmax", self.bash("tenon", "--help-op", "=", "soft"))
        open(os.path.join(self.folder, "net.onnx"), "w").close()
        self.assertEqual(self.bash("tenon", "net"), ["net.onnx"])
        self.assertEqual(self.bash("tenon", "-o", "net"), ["net.onnx"])
        self.assertEqual(self.bash("tenon", "fm"), ["fmt"])
        self.assertEqual(self.bash("tenon", "-c", "fm"), [""])

    def test_fish(self):
        path = self.script("fish")

        def ask(line):
            text = run("fish", "--no-config", "-c", f"source {path}; complete -C '{line}'", cwd=self.folder)
            return [row.split("\t")[0] for row in text.split("\n") if row]
        self.assertIn("--memory-limit", ask("tenon --memory-l"))
        self.assertIn("-fsanitize", ask("tenon -fsan"))
        self.assertEqual(sorted(ask("tenon -fsanitize ")), ["address", "thread"])
        self.assertIn("softmax", ask("tenon --help-op soft"))
        self.assertIn("fmt", ask("tenon fm"))

    def test_zsh(self):
        path = self.script("zsh")
        self.assertIn("--memory-limit", run("zsh", "-f", "-c", ZSH, "zsh", path, "tenon --memory-l"))
        got = run("zsh", "-f", "-c", ZSH, "zsh", path, "tenon -fsanitize=")
        self.assertIn("address", got)
        self.assertIn("thread", got)
        self.assertIn("log_softmax", run("zsh", "-f", "-c", ZSH, "zsh", path, "tenon --help-op=log_so"))
        self.assertIn("put files of the language", run("zsh", "-f", "-c", ZSH, "zsh", path, "tenon "))

    def test_every_option_is_in_each(self):
        options = run("tenon", "--print-options").split()
        zsh, fish, page = completions("zsh"), completions("fish"), run("tenon", "--print-manual").replace("\\-", "-")
        for verb in ("check", "fmt"):
            self.assertIn(f"'{verb}:", zsh)
            self.assertIn(f" -a {verb} ", fish)
            self.assertIn(f'.B "tenon {verb} ', page)
        for option in options:
            self.assertIn("'*" + option, zsh)
            self.assertIn("'" + option.lstrip("-").split("=")[0].rstrip(",") + "'", fish)
            self.assertIn('.B "' + option, page)

    def test_manual_has_no_warnings(self):
        if shutil.which("groff") is None:
            self.skipTest("groff is not installed")
        page = run("tenon", "--print-manual")
        got = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
        self.assertEqual((got.returncode, got.stderr), (0, ""))

    def test_another_shell_is_refused(self):
        got = subprocess.run(["tenon", "--print-completion=tcsh"], capture_output=True, text=True, env=ENV)
        self.assertEqual(got.returncode, 1)
        self.assertIn("expected bash, zsh or fish, found 'tcsh'", got.stderr)


unittest.main()
