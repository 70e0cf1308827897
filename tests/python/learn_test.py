# SPDX-License-Identifier: Apache-2.0
"""The collector without ComfyUI: forms, files of facts, folders, and what goes wrong in a checkout.

The checkouts here are stand-ins: a few lines in place of ComfyUI and of PyTorch.
"""
import contextlib
import io
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python/ebb"))
from learn import __main__ as command  # noqa: E402
from learn import checkout, collect, facts, forms, header, keys, supervise  # noqa: E402

CLASSES = """
import os, time
class Raises:
    unet_config = {}
    def __init__(self, config): raise ValueError("no such thing")
class Hangs(Raises):
    def __init__(self, config): time.sleep(600)
class Dies(Raises):
    def __init__(self, config): os._exit(3)
class Eats(Raises):
    def __init__(self, config):
        self.held = []
        while True: self.held.append(bytearray(b"x") * (1 << 24))
class Prints(Raises):
    def __init__(self, config): print("no JSON"); raise ValueError("said")
"""


def stand_in(folder, models, version="0.33.0"):
    """A folder with as much of ComfyUI as the worker imports."""
    folder = pathlib.Path(folder)
    texts = {"comfyui_version.py": f'__version__ = "{version}"\n',
             "torch.py": '__version__ = "0"\ndef set_num_threads(n): pass\n'
                         'def device(name): return name\n',
             "comfy/options.py": "def enable_args_parsing(): pass\n",
             "comfy/sd.py": "", "comfy/model_detection.py": "", "comfy/model_management.py": "",
             "folder_paths.py": "import os\n"
                                "os.makedirs(os.path.join(os.path.dirname(__file__), 'input'))\n"
                                "models_dir = os.path.join(os.path.dirname(__file__), 'models')\n"
                                "folder_names_and_paths = {'loras': 1, 'vae': 1}\n"
                                "def get_folder_paths(kind): "
                                "return [os.path.join(models_dir, kind)]\n",
             "comfy/supported_models.py": CLASSES + f"models = [{', '.join(models)}]\n",
             "custom_nodes/broken/__init__.py": "import os\nos._exit(9)\n"}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command.main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


class InAFolder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.facts = self.folder / "out/facts.json"

    def learn(self, models, *words):
        folder = stand_in(self.folder / "comfyui", models)
        return run("--comfyui", folder, "--python", sys.executable, "--facts", self.facts,
                   "--jobs", "1", *words)

    def refused(self, words, *parts):
        code, out, err = run(*words)
        self.assertEqual((code, out), (3, ""))
        self.assertEqual(err.count("\n"), 1, err)
        for part in parts:
            self.assertIn(part, err)


CHECKS = [(1, 16, t, h, w) for t in (1, 2, 3, 4, 5, 6, 7, 9, 13, 21, 81, 401, 801)
          for h, w in ((91, 77), (33, 15))] + [(2, 16, 7, 31, 45)]


class Forms(unittest.TestCase):
    def holds(self, function, start=(1, 16, 5, 60, 104), checks=CHECKS):
        form = forms.fitted(function, start, checks)
        self.assertEqual(form["form"], "product", form)
        for shape in checks:
            self.assertAlmostEqual(forms.evaluate(form, shape), function(shape), delta=1)
        return form

    def test_an_area_is_one_number(self):
        form = self.holds(lambda n: n[0] * math.prod(n[2:]) * 0.02 * (5120 / 2222) * (1 << 20))
        self.assertEqual(form["times"], [0, 2, 3, 4])
        self.assertEqual((form["along"], len(form["pieces"])), (None, 1))

    def test_formulas_of_vaes(self):
        self.holds(lambda n: (2200 if n[2] <= 4 else 7000) * n[3] * n[4] * 128)
        self.holds(lambda n: 2800 * min(8, (n[2] - 1) * 4 + 1) * n[3] * n[4] * 128)
        self.holds(lambda n: 80 * max(n[2], 7) * n[3] * n[4] * 2)
        self.holds(lambda n: 1400 * max(2, 4 * (n[2] - 1) + 1) * n[3] * n[4])
        self.holds(lambda n: 50 * round((n[2] + 7) / 8) * 8 * n[3] * n[4] * 2)
        self.holds(lambda n: 1800 * max(1, n[-3] ** 0.7 * 0.1) * n[-2] * n[-1] * 512)
        self.holds(lambda n: ((7 if n[2] == 1 else 9.5) * min(n[2], 17) * n[3] * n[4]
                              + (110e6 if n[2] == 1 else 1.3e9)) * 2.06)
        self.holds(lambda n: 90 * n[2] * 1411.2 * 4, (1, 20, 500), [(1, 20, 7), (2, 20, 99_999)])
        self.holds(lambda n: max(42e6, 176_000 * n[3] + 2e7) * 4.12, (1, 32, 2, 500),
                   [(1, 32, 2, n) for n in (1, 124, 125, 126, 127, 5000)])

    def test_what_has_no_form_says_so(self):
        for function in (lambda n: math.sin(n[2]) + 2, lambda n: n[3] ** 2 * n[4] ** 1.5,
                         lambda n: 1 / 0, lambda n: n[2] * n[3] if n[3] < 50_000 else 0):
            checks = [*CHECKS, (1, 16, 3, 60_000, 5)]
            form = forms.fitted(function, (1, 16, 5, 60, 104), checks)
            self.assertEqual(form["form"], "unknown")
            self.assertTrue(form["why"])
            self.assertIsNone(forms.evaluate(form, CHECKS[0]))

    def test_the_residual_is_of_shapes_without_a_part_in_the_fit(self):
        form = forms.fitted(lambda n: n[3] * n[4] * 7.0, (1, 16, 5, 60, 104), CHECKS)
        self.assertEqual((form["residual"], form["checked"]), (0, len(CHECKS)))


class Facts(InAFolder):
    GOOD = {"format": facts.FORMAT, "comfyui": {"version": "0.33.0"}, "made_with": {"torch": "2"},
            "classes": [{"class": "A", "values": 7, "modules": [["Linear", 4, 0, 2]],
                         "asked": {"fused": {"form": "product", "times": [0], "along": None,
                                             "pieces": [{"from": 0, "rate": 0.1}]}}}]}

    def test_what_is_written_is_read(self):
        facts.write(self.facts, self.GOOD)
        self.assertEqual(facts.read(self.facts), self.GOOD)
        self.assertEqual(os.listdir(self.facts.parent), ["facts.json"])

    def test_a_write_that_fails_leaves_the_old_file(self):
        facts.write(self.facts, self.GOOD)
        with mock.patch("os.replace", side_effect=OSError("full")), self.assertRaises(OSError):
            facts.write(self.facts, {**self.GOOD, "classes": []})
        self.assertEqual(facts.read(self.facts), self.GOOD)
        self.assertEqual(os.listdir(self.facts.parent), ["facts.json"])

    def test_other_files_are_refused(self):
        row = self.GOOD["classes"][0]
        nan = {**row, "asked": {"fused": {**row["asked"]["fused"], "pieces": [{"from": 0}]}}}
        deep = "[" * 100_000
        texts = ["", "[]", "{}", deep, '{"format": NaN}',
                 json.dumps({**self.GOOD, "format": "ebb.facts/2"}),
                 json.dumps({**self.GOOD, "comfyui": 3}),
                 json.dumps({**self.GOOD, "made_with": {}}),
                 *(json.dumps({**self.GOOD, "classes": classes}) for classes in (
                     {}, [3], [{"values": -1}], [{"values": 1 << 70}], [nan],
                     [{"class": []}], [{"order": "1"}], [{"parts": 3}], [{"parts": [{"part": 1}]}],
                     [{**row, "modules": [["Linear", 4, 0]]}], [{**row, "modules": ["x"]}]))]
        for text in texts:
            self.folder.joinpath("bad.json").write_text(text, encoding="utf-8")
            with self.assertRaises(facts.Unreadable, msg=text[:60]):
                facts.read(self.folder / "bad.json")

    def test_names_are_folded(self):
        state = dict.fromkeys(("blocks.0.q.weight", "blocks.11.q.weight", "head.bias"))
        self.assertEqual(keys.folded_set(state), {"blocks.#.q.weight": 2, "head.bias": 1})


class Folders(InAFolder):
    def test_no_comfyui_and_an_old_one_are_one_line(self):
        self.refused(["--comfyui", self.folder], "is no ComfyUI folder")
        old = stand_in(self.folder / "old", [], "0.3.39")
        self.refused(["--comfyui", old], "ComfyUI 0.3.39", "0.3.40 is the oldest")
        (old / "comfyui_version.py").unlink()
        self.refused(["--comfyui", old], "does not say its version")

    def test_a_python_without_torch_is_one_line(self):
        folder = stand_in(self.folder / "comfyui", [])
        (folder / "torch.py").write_text("raise ModuleNotFoundError(name='torch')\n")
        words = ["--comfyui", folder, "--python", sys.executable, "--facts", self.facts]
        self.refused(words, "has no torch", "--python")
        self.assertFalse(self.facts.exists())

    def test_a_python_that_is_none_is_one_line(self):
        folder = stand_in(self.folder / "comfyui", [])
        self.refused(["--comfyui", folder, "--python", self.folder / "no", "--facts", self.facts],
                     "can't be started")

    def test_a_checkout_that_can_not_be_imported_is_one_line(self):
        folder = stand_in(self.folder / "comfyui", [])
        words = ["--comfyui", folder, "--python", sys.executable, "--facts", self.facts]
        (folder / "comfy/sd.py").write_text("raise RuntimeError('broken\\nin two lines')\n")
        self.refused(words, "could not import", "broken in two lines")
        (folder / "comfy/sd.py").write_text("import os; os._exit(1)\n")
        self.refused(words, "could not import")

    @unittest.skipIf(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
                     "root may write everywhere")
    def test_a_place_that_can_not_be_written_is_one_line(self):
        folder = stand_in(self.folder / "comfyui", [])
        self.folder.chmod(0o500)
        self.refused(["--comfyui", folder, "--facts", self.facts], "can't be made")

    def test_a_file_where_a_folder_belongs_is_one_line(self):
        folder = stand_in(self.folder / "comfyui", [])
        (self.folder / "out").write_text("")
        self.refused(["--comfyui", folder, "--facts", self.facts], "can't be made")
        self.refused(["--comfyui", folder, "--facts", self.folder], "is a folder")

    def test_the_commit_is_read_without_git(self):
        commit, git = "0123456789" * 4, self.folder / ".git"
        self.assertIsNone(checkout.commit_of(self.folder))
        (git / "refs/heads").mkdir(parents=True)
        (git / "HEAD").write_text(commit + "\n")
        self.assertEqual(checkout.commit_of(self.folder), commit)
        (git / "HEAD").write_text("ref: refs/heads/master\n")
        (git / "packed-refs").write_text(f"# pack-refs\n{commit} refs/heads/master\n")
        self.assertEqual(checkout.commit_of(self.folder), commit)
        (git / "refs/heads/master").write_text(commit[::-1] + "\n")
        self.assertEqual(checkout.commit_of(self.folder), commit[::-1])

    def test_a_changed_file_is_another_tree(self):
        folder = stand_in(self.folder / "comfyui", [])
        before = checkout.tree_of(folder)
        self.assertEqual(checkout.tree_of(folder), before)
        (folder / "comfy/__pycache__").mkdir()
        (folder / "comfy/__pycache__/sd.py").write_text("x")
        self.assertEqual(checkout.tree_of(folder), before)
        (folder / "comfy/sd.py").write_text("x = 1\n")
        self.assertNotEqual(checkout.tree_of(folder), before)


def model_file(path, tensors, cut=0, text=None):
    """A safetensors file that holds nothing behind its header."""
    at, entries = 0, {"__metadata__": {"a": "b"}}
    for name, (kind, shape) in tensors.items():
        end = at + math.prod(shape) * header.TYPES.get(kind, 1)
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    data = (text or json.dumps(entries)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + at - cut)
    return path


class Headers(InAFolder):
    def read(self, *words, **more):
        data, size = header.read(model_file(self.folder / "a.safetensors", *words, **more))
        return header.tensors_of(data, size)

    def test_names_types_shapes_places_and_metadata(self):
        tensors, metadata = self.read({"a": ("F16", [2, 3]), "b": ("U8", [0])})
        self.assertEqual(metadata, {"a": "b"})
        self.assertEqual({name: row[:2] for name, row in tensors.items()},
                         {"a": ("F16", (2, 3)), "b": ("U8", (0,))})
        self.assertEqual(tensors["a"][3], 12)

    def test_what_is_no_header_says_what_is_wrong(self):
        for words, more in (({}, {"text": "{"}), ({}, {"text": "[]"}), ({}, {"text": "[" * 99_999}),
                            ({"a": ("F16", [2])}, {"cut": 1}), ({"a": ("X", [2])}, {}),
                            ({}, {"text": '{"a": 3}'}), ({"a": ("F16", [1] * 9)}, {}),
                            ({}, {"text": '{"a": {"dtype": "U8", "shape": [-1], '
                                          '"data_offsets": [0, 1]}}'})):
            with self.assertRaises(header.Unreadable):
                self.read(words, **more)
        for data in (b"", b"1234567", (1 << 60).to_bytes(8, "little") + b"{}"):
            (self.folder / "b.safetensors").write_bytes(data)
            with self.assertRaises(header.Unreadable):
                header.read(self.folder / "b.safetensors")


class Files(InAFolder):
    def setUp(self):
        super().setUp()
        self.models = self.folder / "comfyui/models"
        self.lora = model_file(self.models / "loras/sub/a.safetensors", {"x": ("F16", [2])})

    def rows(self, *words):
        self.assertEqual(self.learn([], *words)[0], 0)
        return {row["file"]: row for row in facts.read(self.facts)["files"]}

    def test_files_that_can_not_be_looked_at_are_facts(self):
        (self.models / "vae").mkdir()
        (self.models / "vae/b.gguf").write_bytes(b"GGUF")
        (self.models / "vae/c.safetensors").write_bytes(b"no")
        (self.models / "vae/notes.txt").write_bytes(b"no")
        rows = self.rows()
        self.assertEqual(sorted(rows), ["b.gguf", "c.safetensors", "sub/a.safetensors"])
        self.assertIn("safetensors", rows["b.gguf"]["not_traced"])
        self.assertIn("shorter", rows["c.safetensors"]["not_traced"])
        self.assertEqual(len(rows["sub/a.safetensors"]["header"]), 64)

    def test_one_file_can_be_asked_for(self):
        model_file(self.models / "loras/b.safetensors", {"x": ("F16", [2])})
        self.assertEqual(sorted(self.rows("--model", "a.safetensors")), ["sub/a.safetensors"])
        both = ["b.safetensors", "sub/a.safetensors"]  # one is known from the run before
        self.assertEqual(sorted(self.rows("--model", "b.safetensors")), both)
        self.lora.unlink()
        self.assertEqual(sorted(self.rows("--no-files")), both)
        self.assertEqual(sorted(self.rows()), ["b.safetensors"])
        self.refused(["--comfyui", self.folder / "comfyui", "--python", sys.executable, "--facts",
                      self.facts, "--model", "c.safetensors"], "no model folder has a file c.")

    def test_what_is_known_of_the_same_header_is_not_learned_again(self):
        first = self.rows()["sub/a.safetensors"]
        known = {"folder": "loras", "file": "sub/a.safetensors", "header": first["header"],
                 "file_bytes": first["file_bytes"], "parts": [{"part": "lora"}]}
        found = facts.read(self.facts)
        facts.write(self.facts, {**found, "files": [known]})
        self.assertEqual(self.rows()["sub/a.safetensors"], known)
        self.assertIn("not_traced", self.rows("--again")["sub/a.safetensors"])
        facts.write(self.facts, {**found, "files": [known]})
        model_file(self.lora, {"x": ("F16", [3])})
        self.assertIn("not_traced", self.rows()["sub/a.safetensors"])

    def test_a_file_of_facts_that_is_none_is_written_anew(self):
        first = self.rows()
        for text in ("", "{}", '{"format": "ebb.facts/1", "comfyui": {"version": ""}}'):
            self.facts.write_text(text)
            self.assertEqual(self.rows(), first)

    def test_another_comfyui_knows_nothing_of_it(self):
        self.rows()
        found = facts.read(self.facts)
        tree, torch = found["comfyui"]["tree"], found["made_with"]["torch"]
        self.assertTrue(collect.earlier(self.facts, tree, torch)["files"])
        self.assertFalse(collect.earlier(self.facts, "0" * 64, torch)["files"])
        self.assertFalse(collect.earlier(self.facts, tree, "1")["files"])


class Isolation(InAFolder):
    def test_classes_that_fail_are_facts_and_the_others_go_on(self):
        with mock.patch.dict(supervise.LIMITS, seconds=2, memory=1 << 27):
            code, out, _ = self.learn(["Raises", "Hangs", "Dies", "Eats", "Prints"])
        self.assertEqual(code, 0)
        rows = {row["class"]: row["not_traced"] for row in facts.read(self.facts)["classes"]}
        self.assertEqual(rows["Raises"], "ValueError: no such thing")
        self.assertIn("more than 2 seconds", rows["Hangs"])
        self.assertIn("died", rows["Dies"])
        self.assertIn("MiB of memory", rows["Eats"])
        self.assertEqual(rows["Prints"], "ValueError: said")
        self.assertIn("classes: 0 of 5", out)

    def test_the_checkout_is_left_as_it_was_and_no_custom_node_is_imported(self):
        folder = stand_in(self.folder / "comfyui", ["Raises"])
        before = sorted(map(str, folder.glob("**/*")))
        self.assertEqual(self.learn(["Raises"])[0], 0)
        self.assertEqual(sorted(map(str, folder.glob("**/*"))), before)

    def test_progress_is_lines_where_there_is_no_terminal(self):
        _, _, err = self.learn(["Raises"])
        self.assertEqual(err, "ebb learn: 1 of 1\n")
        self.assertEqual(self.learn(["Raises"], "--quiet")[2], "")

    def test_a_command_killed_half_way_leaves_nothing(self):
        folder = stand_in(self.folder / "comfyui", ["Hangs"])
        process = subprocess.Popen(
            [sys.executable, "-m", "ebb.learn", "--comfyui", str(folder), "--python",
             sys.executable, "--facts", str(self.facts)], stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "EBB_LIBRARY": "/not/there"})
        time.sleep(2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual([str(path) for path in self.folder.glob("out/*")], [])


if __name__ == "__main__":
    unittest.main()
