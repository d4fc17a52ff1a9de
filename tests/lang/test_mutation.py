"""One token of each worked example is left out, doubled or changed, at every position: tenon check never crashes, and
where it objects, its first error stands within one line of the change in at least 90 % of the cases of each example.
usage: test_mutation.py BUILD_DIR"""
from common import examples, judge, main, tokens

REPLACEMENTS = ["x", "7", ")", "(", "}", "{", "=", ",", "+", "|>", "let", "model", '"s"']
SHARE = 0.9


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


def no_crash_and_errors_near():
    for name, text in examples().items():
        made = list(mutants(text))
        lines = judge([mutant for _, mutant in made], check=True)
        errors = near = 0
        far = []
        for (line, mutant), verdict in zip(made, lines):
            words = verdict.split(" ", 3)
            if words[0] not in ("ok", "error"):
                yield f"{name}:{line}: {verdict}"
            if words[0] != "error":
                continue
            errors += 1
            if abs(int(words[1]) - line) <= 1:
                near += 1
            else:
                far.append(f"{name}:{line}: {verdict}")
        print(f"     {name}: {len(made)} mutants, {errors} errors, {near / max(errors, 1):.1%} within one line")
        if len(made) < 500 or near < SHARE * errors:
            yield from [f"{name}: {near} of {errors} errors stand within a line of the change"] + far


if __name__ == "__main__":
    main([no_crash_and_errors_near])
