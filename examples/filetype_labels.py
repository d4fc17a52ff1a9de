"""Writes the labels of the package magika as a C table.   usage: filetype_labels.py PACKAGE_DIR > filetype_labels.h

PACKAGE_DIR holds models/standard_v3_3/config.min.json (labels, thresholds, labels that stand for others) and
config/content_types_kb.min.json (what is text).
"""
import json
import sys


def main(package):
    with open(f"{package}/models/standard_v3_3/config.min.json", encoding="utf-8") as f:
        config = json.load(f)
    with open(f"{package}/config/content_types_kb.min.json", encoding="utf-8") as f:
        kinds = json.load(f)
    sizes = {key: config[key] for key in ("beg_size", "mid_size", "end_size", "min_file_size_for_dl", "padding_token",
                                          "block_size")}
    wanted = {"beg_size": 1024, "mid_size": 0, "end_size": 1024, "min_file_size_for_dl": 8, "padding_token": 256,
              "block_size": 4096}
    if sizes != wanted:
        sys.exit(f"filetype_labels: filetype.c is written for {wanted}, the package has {sizes}")
    print("/* Made by filetype_labels.py from the package's config. */")
    print("typedef struct label {\n  const char *output; /* what the label is called in the end */\n"
          "  double threshold;   /* below this score it is not trusted */\n  int output_is_text;\n} label;\n")
    names = config["target_labels_space"]
    print(f"enum {{ N_LABELS = {len(names)} }};\n\nstatic const label labels[N_LABELS] = {{")
    for name in names:
        output = config["overwrite_map"].get(name, name)
        threshold = config["thresholds"].get(name, config["medium_confidence_threshold"])
        print(f'    {{"{output}", {threshold!r}, {int(kinds[output]["is_text"])}}},')
    print("};")


main(sys.argv[1])
