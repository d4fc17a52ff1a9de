"""Every soft keyword is a name wherever a name can stand, every other keyword nowhere; those that may name an argument
do. The grammar has a token of each.   usage: test_words.py BUILD_DIR"""
import re

from common import judge, main, read

KEYWORD = re.compile(r'^X\((\w+), "(\w+)", (\w+)\)$', re.MULTILINE)
PLACES = [
    "let @ = 1\n",
    "dim @ = 2\n",
    "mesh @ = (@: 4)\n",
    "data @ = csv(@)\n",
    "module @(x: f32[B]) -> f32[B] = x\n",
    "model M(@: f32[B, @], n: int = @) -> f32[B, ..@, 4@@] = @\n",
    "train @ on @ {\n  @ = @ + @.@\n}\n",
    "compress @ from @ {\n  @(@: @)\n}\n",
    "deploy @ from @ {\n}\n",
    "module F(x: f32[B]) -> f32[B] {\n  let (@, b) = x\n  param @: f32[2]\n  buffer @: f32[2] = @\n  sub @ = @()\n"
    "  for @ in @ {\n    @ = x[@: 0..@]\n  }\n  scan (@, t) in @ along @ carry @ = @ {\n    yield @ = @\n  }\n"
    "  @ += 1\n  return @\n}\n",
    "data d = csv(x) {\n  @: f32[@] = @ |> @ |> @(1)\n}\n",
    "train M on d {\n  every 5 @ {\n  }\n  on @ {\n  }\n  stop when @\n  require @ < 2\n}\n",
]
NAMED = "let a = f(@: 1, k: 2)\n"


def keywords(*kinds):
    return [word for _, word, kind in KEYWORD.findall(read("frontend", "lang", "keywords.def")) if kind in kinds]


def fill(place, word):
    """'@' is the word; '@@' is a '@' before it."""
    return place.replace("@@", "\0").replace("@", word).replace("\0", "@" + word)


def soft_keywords_are_names():
    texts = [fill(place, word) for word in keywords("SOFT") for place in [*PLACES, NAMED]]
    for text, verdict in zip(texts, judge(texts)):
        if verdict != "ok":
            yield f"{verdict}: {text!r}"
    if len(texts) < 100:
        yield f"only {len(texts)} texts"


def other_keywords_are_no_names():
    texts = [fill(place, word) for word in keywords("HARD", "LABEL") for place in PLACES]
    for text, verdict in zip(texts, judge(texts)):
        if not verdict.startswith("error"):
            yield f"{verdict}: {text!r}"


def labels_name_arguments():
    for kind, wanted in ("LABEL", "ok"), ("HARD", "error"):
        texts = [fill(NAMED, word) for word in keywords(kind)]
        for text, verdict in zip(texts, judge(texts)):
            if not verdict.startswith(wanted):
                yield f"{verdict}: {text!r}"


def the_grammar_has_each():
    grammar = read("grammar", "tenon.y")
    for token, word, _ in KEYWORD.findall(read("frontend", "lang", "keywords.def")):
        if f'{token} "{word}"' not in grammar:
            yield f"grammar/tenon.y: no token {token} \"{word}\""


if __name__ == "__main__":
    main([soft_keywords_are_names, other_keywords_are_no_names, labels_name_arguments, the_grammar_has_each])
