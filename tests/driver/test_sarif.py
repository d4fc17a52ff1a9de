"""-fdiagnostics-format=sarif: the log has the structure that SARIF 2.1.0 demands. Usage: test_sarif.py BUILD_DIR"""
import json
import os
import subprocess
import sys
import unittest
import urllib.parse

from common import TENON, FolderTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
import pb

# SARIF 2.1.0: of each object its members: name -> (required, type or name of an object, in a list when many).
OBJECTS = {
    "log": {"version": (1, str), "$schema": (0, str), "runs": (1, ["run"])},
    "run": {"tool": (1, "tool"), "columnKind": (0, str), "invocations": (0, ["invocation"]),
            "results": (0, ["result"])},
    "tool": {"driver": (1, "component")},
    "component": {"name": (1, str), "version": (0, str), "rules": (0, ["rule"])},
    "rule": {"id": (1, str), "fullDescription": (0, "message")},
    "invocation": {"executionSuccessful": (1, bool), "exitCode": (0, int)},
    "result": {"ruleId": (0, str), "ruleIndex": (0, int), "level": (0, str), "message": (1, "message"),
               "locations": (0, ["location"]), "relatedLocations": (0, ["location"])},
    "location": {"physicalLocation": (0, "physical"), "logicalLocations": (0, ["logical"]), "message": (0, "message")},
    "physical": {"artifactLocation": (1, "artifact"), "region": (0, "region")},
    "artifact": {"uri": (1, str)},
    "region": {"startLine": (1, int), "startColumn": (0, int), "endColumn": (0, int)},
    "logical": {"name": (0, str), "kind": (0, str), "properties": (0, dict)},
    "message": {"text": (1, str)},
}


def check(kind, value, where="log"):
    if isinstance(kind, list):
        assert isinstance(value, list), where
        for i, element in enumerate(value):
            check(kind[0], element, f"{where}[{i}]")
    elif isinstance(kind, str):
        members = OBJECTS[kind]
        assert isinstance(value, dict) and set(value) <= set(members), (where, value)
        for name, (required, member) in members.items():
            assert name in value or not required, f"{where} lacks {name}"
            if name in value:
                check(member, value[name], f"{where}.{name}")
    else:
        assert type(value) is kind, (where, value)


class Sarif(FolderTest):
    def log(self, *words, code=1):
        r = subprocess.run([TENON, *words, "-fdiagnostics-format=sarif"], cwd=self.folder, capture_output=True)
        self.assertEqual(r.returncode, code, r.stderr)
        log = json.loads(r.stderr.decode())  # strict UTF-8
        check("log", log)
        [one] = log["runs"]
        self.assertEqual((log["version"], one["tool"]["driver"]["name"]), ("2.1.0", "tenon"))
        self.assertEqual(one["invocations"], [{"executionSuccessful": code == 0, "exitCode": code}])
        for result in one["results"]:
            self.assertEqual(one["tool"]["driver"]["rules"][result["ruleIndex"]]["id"], result["ruleId"])
            self.assertIn(result["level"], ("error", "warning", "note", "none"))
        return one

    def test_nothing_to_report(self):
        self.path("net.tnir", 'tnir 1\nfunc @f entry (%x: f32[2] "x") -> (f32[2] "y") {\n  return %x\n}\n')
        self.assertEqual(self.log("net.tnir", "--emit=ir", "-o", "out", code=0)["results"], [])

    def test_place_in_text(self):
        self.path("é b.tnir", 'tnir 1\nfunc @f entry (%x: f32[2] "ééé", %y: f33[2] "y") -> (f32[2] "z") {\n}\n')
        [result] = self.log("é b.tnir", "--emit=ir")["results"]
        place = result["locations"][0]["physicalLocation"]
        self.assertEqual(urllib.parse.unquote(place["artifactLocation"]["uri"]), "é b.tnir")
        self.assertNotIn(" ", place["artifactLocation"]["uri"])
        self.assertEqual(place["region"], {"startLine": 2, "startColumn": 38, "endColumn": 41})  # characters, from 1
        [result] = self.log(self.path("é b.tnir"), "--emit=ir")["results"]
        self.assertTrue(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("file:///"))

    def test_notes_and_rules(self):
        one = self.log("--emmit=ir", "--frobnicate")
        self.assertEqual([r["message"]["text"] for r in one["results"]],
                         ["unknown option '--emmit=ir'", "unknown option '--frobnicate'"])
        self.assertEqual(one["results"][0]["relatedLocations"], [{"message": {"text": "did you mean '--emit'?"}}])
        self.assertEqual(len(one["tool"]["driver"]["rules"]), 1)
        self.assertNotIn("relatedLocations", one["results"][1])

    def test_node_of_a_model(self):
        bad = b"\xff\xc0\xaf\xed\xa0\x80\x1b\"\\"  # no UTF-8, a control character, what JSON escapes
        node = pb.sub(1, "x") + pb.sub(2, "y") + pb.sub(4, "Frobnicate") + pb.sub(3, bad)
        self.path("m.onnx", pb.model(pb.graph([node], [pb.info("x", dims=[2])], [pb.info("y")])))
        [result] = self.log("m.onnx", "--emit=ir")["results"]
        [logical] = result["locations"][0]["logicalLocations"]
        self.assertEqual(logical["properties"], {"index": 0, "operator": "Frobnicate"})
        self.assertEqual(logical["name"], r'\xff\xc0\xaf\xed\xa0\x80\x1b"\u'[:-1])
        r = subprocess.run([TENON, "m.onnx", "--emit=ir", "-fdiagnostics-format=json"], cwd=self.folder,
                           capture_output=True)
        self.assertEqual(json.loads(r.stderr.decode().splitlines()[0])["name"], logical["name"])


if __name__ == "__main__":
    unittest.main()
