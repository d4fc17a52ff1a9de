"""One token of each worked example, and of each example of the reference, is left out, doubled or changed, at every
position: tenon check never crashes, and where it objects, its first error stands within one line of the change in at
least 98.5 % of the cases.   usage: test_mutation.py BUILD_DIR"""
import re

from common import examples, judge, main, read, tokens

REPLACEMENTS = ["x", "7", ")", "(", "}", "{", "=", ",", "+", "|>", "let", "model", '"s"']
SHARE = 0.985


def mutants(text):
    """(line of the change, text) for every token: without it, twice, and another in its place."""
    found = [t for t in tokens(text) if not t.group().startswith("#")]
    for i, token in enumerate(found):
        before, after = text[:token.start()], text[token.end():]
        line = before.count("\n") + 1
        yield line, before + after
        yield line, before + token.group() + " " + token.group() + after
        for k in range(3):
            other = REPLACEMENTS[(i + k * 5) % len(REPLACEMENTS)]
            if other != token.group():
                yield line, before + " " + other + " " + after


def judge_mutants(name, text):
    """(mutants, errors, errors near, findings) of one text. A line judges until a crash, which is a finding."""
    made = list(mutants(text))
    errors = near = 0
    findings, far = [], []
    for (line, mutant), verdict in zip(made, judge([mutant for _, mutant in made], check=True)):
        words = verdict.split(" ", 3)
        if words[0] not in ("ok", "error", "elsewhere"):
            findings.append(f"{name}:{line}: {verdict}")
        if words[0] not in ("error", "elsewhere"):
            continue
        errors += 1
        if words[0] == "error" and abs(int(words[1]) - line) <= 1:
            near += 1
        else:
            far.append(f"{name}:{line}: {verdict}")
    return len(made), errors, near, findings, far


def told(name, made, errors, near):
    print(f"     {name}: {made} mutants, {errors} errors, {near / max(errors, 1):.1%} within one line")


def no_crash_and_errors_near():
    for name, text in examples().items():
        made, errors, near, findings, far = judge_mutants(name, text)
        told(name, made, errors, near)
        yield from findings
        if made < 500 or near < SHARE * errors:
            yield from [f"{name}: {near} of {errors} errors stand within a line of the change"] + far


def the_reference_too():
    """All examples of LANGUAGE.md that have no error together; those that read an ONNX file lie beside none here."""
    reference = read("grammar", "LANGUAGE.md")
    texts = [found.group(1) for found in re.finditer(r"^```tn\n(.*?)^```$", reference, re.MULTILINE | re.DOTALL)]
    sums, far = [0, 0, 0], []
    for i, text in enumerate(texts):
        *counts, findings, some_far = judge_mutants(f"example {i + 1}", text)
        sums = [a + b for a, b in zip(sums, counts)]
        far += some_far
        yield from findings
    told(f"{len(texts)} examples of LANGUAGE.md", *sums)
    if len(texts) < 12 or sums[2] < SHARE * sums[1]:
        yield from [f"{sums[2]} of {sums[1]} errors stand within a line of the change"] + far


if __name__ == "__main__":
    main([no_crash_and_errors_near, the_reference_too])
