"""Every row of frontend/lang/settings.def: a setting's example passes tenon check; a function is called with an
argument of each parameter; words that do not exist, numbers outside of the range, arguments too few and unknown ones
are errors at their place.   usage: test_settings.py BUILD_DIR"""
import re

from common import judge, main, read

STRING = r'"((?:[^"\\]|\\.)*)"'
DEF = read("frontend", "lang", "settings.def")
SETTINGS = re.findall(r"^S\(" + ", ".join([STRING] * 6) + r"\)$", DEF, re.MULTILINE)
FUNCTIONS = re.findall(r"^F\(" + ", ".join([STRING] * 4) + r"\)$", DEF, re.MULTILINE)

HEAD = """mesh machine = (data: 4, tensor: 2)
data points = csv("p.csv", target: "y", split: (train: 0.7, valid: 0.2, test: 0.1))
model M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(3)
"""
TRAIN = "train M on points {\n  loss = cross_entropy(out, y), epochs = 1\n"
# Where the settings of a block stand: the text before them and behind them.
BLOCKS = {
    "data": ('data other = csv("o.csv") {\n  x: f32 = a\n', "\n}\n"),
    "train": ("train M on points {\n", "\n}\n"),
    "params": (TRAIN + '  params "*" {\n', "\n  }\n}\n"),
    "compress": (TRAIN + "}\ncompress S from M {\n", "\n}\n"),
    "deploy": ("deploy D from M {\n", "\n}\n"),
}
# Where the call of a group's function stands: @.
PLACES = {
    "optimizer": TRAIN + "  optimizer = @\n}\n",
    "schedule": TRAIN + "  optimizer = sgd(lr: @)\n}\n",
    "precision": TRAIN + "  precision = @\n}\n",
    "loss_scale": TRAIN + "  precision = f16(loss_scale: @)\n}\n",
    "clip": TRAIN + "  clip = @\n}\n",
    "remat": TRAIN + "  remat = @\n}\n",
    "prune": TRAIN + "}\ncompress S from M {\n  prune = @\n}\n",
    "pruning": TRAIN + "}\ncompress S from M {\n  prune = channels(amount: 0.5, steps: @)\n}\n",
    "distill": TRAIN + "}\ncompress S from M {\n  distill = @\n}\n",
    "quantize": TRAIN + "}\ncompress S from M {\n  quantize = @\n}\n",
    "target": "deploy D from M {\n  target = @\n}\n",
    "serve": "deploy D from M {\n  serve = @\n}\n",
    "explain": "deploy D from M {\n  explain = @\n}\n",
    "action": TRAIN + "  every 2 steps { @ }\n}\n",
    "reaction": TRAIN + "  on nan { @ }\n}\n",
    "condition": TRAIN + "  stop when @\n}\n",
    "source": "data other = @ {\n}\n",
    "parallel": TRAIN + "  mesh = machine\n  parallel = @\n}\n",
}
FIELDS = {
    "lower": "token[8] = t |> @ |> words(9) |> pad_or_cut(8)", "join": "token[8] = @ |> words(9) |> pad_or_cut(8)",
    "words": "token[8] = t |> @ |> pad_or_cut(8)", "bpe": "token[8] = t |> @ |> pad_or_cut(8)",
    "wordpiece": "token[8] = t |> @ |> pad_or_cut(8)", "pad_or_cut": "token[1] = t |> words(9) |> @",
    "length": "i32 = @", "one_hot": "f32[2] = t |> @", "pad": "f32[4, 4] = image / 255 |> @ |> random_crop(4)",
    "random_crop": "f32[1, 1] = image / 255 |> @", "flip": "f32[4, 4] = image / 255 |> @",
    "noise": "f32[4, 4] = image / 255 |> @",
}


def params(signature):
    """(name, kind, whether it has a default) of each; commas inside of parentheses part nothing."""
    for part in re.split(r",\s*(?![^(]*\))", signature) if signature else []:
        name, _, kind = part.partition(":")
        kind, equals, _ = kind.partition(" = ")
        yield name.removesuffix("..."), kind.strip(), bool(equals)


def bounds(kind):
    found = re.search(r"(?:int|ints|float|pair) ([\d.e+-]*?)(<?)\.\.(<?)(\d[\d.]*)?", kind)
    return found.groups() if found else None


def sample(kind):
    """A value of the kind."""
    one = kind.split("|")[0]
    word = one.split(" ")[0]
    if word in ("int", "ints", "float", "pair"):
        lo, open_lo, _, hi = bounds(kind) or ("0.5", "", "", None)
        value = lo if not open_lo else str(float(hi) / 2) if hi else "0.5"
        return f"({value}, {value})" if word == "pair" else value
    if word.startswith("@"):
        return next(call(name, signature) for group, name, signature, _ in FUNCTIONS if group == word[1:])
    return {"bool": "true", "text": '"' + (one.split(" ")[1] if " " in one else "t") + '"', "texts": '"t"',
            "bytes": "1MiB", "split": "train", "splits": "(train: 0.5, valid: 0.5)", "monitor": "train.loss",
            "samples": "points.train(8)", "mesh": "machine", "model": "M", "glob": '"*"', "names": "(a, t)",
            "field": "t"}.get(word, word)


def call(name, signature, skip=(), more=()):
    words = [f"{param}: {sample(kind)}" for param, kind, _ in params(signature)
             if param not in skip and not kind.startswith("field")]
    return f"{name}({', '.join([*words, *more])})"


def place(group, name, text):
    if group == "field":
        return 'data other = @ {\n'.replace("@", source_of(name)) + extra_of(name) + f"  x: {field(name, text)}\n}}\n"
    if group == "static":
        return f"test \"t\" {{\n  require M.{text} < 9\n}}\n"
    if group == "parallel":
        text = text.removeprefix("parallel")
    if group == "source":
        return PLACES[group].replace("@", text).replace("{\n}", "{\n" + BODIES[name] + "}")
    if name == "resume":
        return PLACES[group].replace("on nan", "on lost_rank").replace("@", text)
    return PLACES[group].replace("@", text)


BODIES = {name: "  x: f32[4] = x\n" for name in ("npy", "npz", "jsonl")}
BODIES.update({name: "  x: f32 = a\n" for name in ("csv", "tsv")})
BODIES.update({name: "  x: u8[4, 4] = image\n" for name in ("idx", "images")})
BODIES.update(text="  x: token[4] = window(0)\n", tokens="  x: token[4] = window(0)\n")


def source_of(name):
    if name in ("pad", "random_crop", "flip", "noise"):
        return 'idx("i", "l")'
    return 'tokens("t")' if name == "window" else 'csv("o.csv", columns: (t, u))'


def extra_of(name):
    return "  before: token[8] = t |> words(9) |> pad_or_cut(8)\n" if name == "length" else ""


def field(name, text):
    if name == "window":
        return "token[8] = " + text
    if name == "length":
        return "i32 = " + text.replace("(", "(before, " if ":" in text else "(before")
    if name == "join":
        return FIELDS[name].replace("@", text.replace("(", "(t, u, " if ":" in text else "(t, u"))
    return FIELDS.get(name, "f32 = t |> @").replace("@", text)


def compare(texts, wanted):
    """Findings for texts whose verdict does not begin as wanted, at the line of the change."""
    for (what, text, line), verdict in zip(texts, judge([HEAD + text for _, text, _ in texts], check=True)):
        words = verdict.split(" ", 3)
        good = verdict == "ok" if wanted == "ok" else words[0] == "error" and int(words[1]) == line
        if not good:
            yield f"{what}: {verdict} in {text!r}"


def with_line(what, text, mark):
    """The line of HEAD + text in which mark stands."""
    return what, text, (HEAD + text[:text.index(mark)]).count("\n") + 1


def setting_text(block, line):
    before, after = BLOCKS[block]
    more = ""
    if block == "train":
        more = "".join(f"\n  {name} = {value}" for name, value in (("loss", "cross_entropy(out, y)"), ("epochs", "2"))
                       if not line.startswith(name))
        if line.startswith("micro"):
            more += "\n  batch = 32"
    return f"{before}  {line}{more}{after}"


def examples_pass():
    texts = [(f"{block}.{name}", setting_text(block, example), 0) for block, name, _, _, example, _ in SETTINGS]
    if len(texts) < 25:
        yield f"only {len(texts)} settings were found"
    yield from compare(texts, "ok")


def wrong_values_are_errors():
    texts = []
    for block, name, kind, _, _, _ in SETTINGS:
        wrong = ["nonsense", '"nonsense"', "(1, (2, 3))"]
        if bounds(kind):
            lo, open_lo, _, hi = bounds(kind)
            wrong += [lo if open_lo else str(float(lo) - 1).removesuffix(".0")] + ([f"{hi}1"] if hi else [])
        texts += [with_line(f"{block}.{name} = {value}", setting_text(block, f"{name} = {value}"), f"{name} =")
                  for value in wrong]
    yield from compare(texts, "error")


def functions_pass():
    texts = [(f"{group}.{name}", place(group, name, text), 0) for group, name, signature, _ in FUNCTIONS
             for text in [f"static({name})" if group == "static" else call(name, signature)]]
    if len(texts) < 60:
        yield f"only {len(texts)} functions were found"
    yield from compare(texts, "ok")


def wrong_arguments_are_errors():
    texts = []
    for group, name, signature, _ in FUNCTIONS:
        if group == "static":
            continue
        tries = [call(name, signature, more=["nonsense: 1"])]
        for param, kind, optional in params(signature):
            if kind.startswith("field"):
                continue
            if not optional:
                tries.append(call(name, signature, skip=[param]))
            wrong = ": 7" if kind == "names" else ": nonsense"
            tries.append(call(name, signature, skip=[param], more=[param + wrong]))
            if bounds(kind):
                lo, open_lo, _, hi = bounds(kind)
                outside = [lo if open_lo else str(float(lo) - 1).removesuffix(".0")] + ([f"{hi}1"] if hi else [])
                outside = [f"({value}, {value})" if kind.startswith("pair") else value for value in outside]
                tries += [call(name, signature, skip=[param], more=[f"{param}: {value}"]) for value in outside]
        for text in tries:
            full = place(group, name, text)
            mark = "other =" if group == "source" else "x:" if group == "field" else text.removeprefix("parallel")
            texts.append(with_line(f"{group}.{name}", full, mark))
    if len(texts) < 300:
        yield f"only {len(texts)} calls were made"
    yield from compare(texts, "error")


if __name__ == "__main__":
    main([examples_pass, wrong_values_are_errors, functions_pass, wrong_arguments_are_errors])
