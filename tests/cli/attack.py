# SPDX-License-Identifier: Apache-2.0
"""What a file, a full disk or a second program can do to the command: nothing unsaid, nothing lost.

usage: attack.py EBB
"""
import json
import os
import pathlib
import re
import resource
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/workflows/wan22_two_pass.json"
EBB = ""
ESCAPE = "\x1b]0;PWN\x07\x1b[31m"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
MACHINE = ["--vram", "24GiB", "--ram", "64GiB", "--os", "linux", "--comfyui", "0.3.73"]


def run(*arguments, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run([EBB, *map(str, arguments)], **more)


def text(data):
    return data.decode("utf-8")  # what is no UTF-8 fails


class Attack(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)
        self.flow = self.folder / "flow.json"
        self.flow.write_bytes(EXAMPLE.read_bytes())

    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    # ---- terminals ------------------------------------------------------------------------------

    def hostile(self):
        evil = f"E{ESCAPE}\u009b31m\u202e\x7f"
        graph = {"last_node_id": 9, "last_link_id": 9, "version": 0.4, "links": [
            [1, 2, 0, 3, 0, "LATENT"]], "nodes": [
            {"id": 2, "type": evil, "title": evil, "mode": 4,
             "inputs": [{"name": evil, "type": "X", "link": 77}],
             "outputs": [{"name": "o", "type": "LATENT", "links": [1]}]},
            {"id": 3, "type": "VAEDecode", "properties": {"cnr_id": evil},
             "inputs": [{"name": "samples", "type": "LATENT", "link": 1}]},
            {"id": 5, "type": "FreeMemory" + evil, "inputs": [], "outputs": []},
            {"id": evil, "type": "KSampler", "widgets_values": [1, "fixed", 1, 1, evil, evil, 1],
             "inputs": [{"name": "model", "type": "MODEL", "link": 78}]}]}
        prompt = {"1": {"class_type": evil, "inputs": {evil: [evil, 0]}},
                  evil: {"class_type": "UNETLoader",
                         "inputs": {"unet_name": evil + ".safetensors"}},
                  "3": {"class_type": "KSampler", "inputs": {"model": [evil, 0], "steps": evil}},
                  "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 9]}}}
        yield self.write("graph.json", graph)
        yield self.write("prompt.json", prompt)
        yield self.write(f"name{ESCAPE}.json", "{" + f'"{evil}": ')
        yield self.write(f"other{ESCAPE}.json", graph)

    def test_no_control_character_reaches_a_terminal(self):
        for path in self.hostile():
            for command in (["show"], ["show", "--json"], ["convert"], ["convert", "--repair"],
                            ["plan", *MACHINE], ["explain", *MACHINE], ["compare", "--vram", "8,9"],
                            ["apply", "--with", "UnloadModels"], ["clean"], ["clean", "--json"],
                            ["undo"], ["plan", *MACHINE, "--json"], ["plan", "--again", *MACHINE],
                            ["clean", "--remove", "-o", self.folder / "cleaned"]):
                done = run(command[0], path, *command[1:])
                for stream in (done.stdout, done.stderr):
                    found = CONTROL.search(text(stream))
                    self.assertFalse(found, f"{command} {path.name!r}: {stream!r}")

    def test_a_folder_is_told_without_them_too(self):
        list(self.hostile())
        done = run("apply", self.folder, "--with", "UnloadModels")
        self.assertFalse(CONTROL.search(text(done.stdout + done.stderr)))

    def test_broken_texts_make_json_that_is_utf8(self):
        path = self.folder / "broken.json"
        path.write_bytes(b'{"nodes": [{"id": 1, "type": "CLIPTextEncode", "title": "a\xff\xc3(", '
                         b'"widgets_values": ["\\ud83d b\xfe"]}], "links": []}')
        for command in (["show", "--json"], ["convert"], ["clean", "--json"],
                        ["apply", "--with", "UnloadModels", "--json"]):
            done = run(command[0], path, *command[1:])
            self.assertEqual(done.returncode, 0, done.stderr)
            json.loads(text(done.stdout))

    # ---- answers that do not arrive -------------------------------------------------------------

    def test_a_full_output_is_told(self):
        patched = self.folder / "patched.json"
        run("apply", self.flow, "--with", "UnloadModels", "-o", patched)
        for command in (["plan", self.flow, *MACHINE], ["plan", self.flow, *MACHINE, "--json"],
                        ["plan", self.flow, "--again", *MACHINE], ["explain", self.flow, *MACHINE],
                        ["explain", self.flow, *MACHINE, "--json"], ["show", self.flow],
                        ["compare", self.flow, "--vram", "8,9"], ["convert", self.flow],
                        ["apply", self.flow, "--with", "UnloadModels"],
                        ["apply", self.flow, "--with", "UnloadModels", "--json"],
                        ["apply", self.folder, "--with", "UnloadModels"], ["clean", self.flow],
                        ["clean", self.flow, "--json"], ["undo", patched]):
            with open("/dev/full", "wb") as full:
                done = run(*command, stdout=full)
            self.assertEqual(done.returncode, 3, command)
            self.assertIn(b"cannot be written", done.stderr, command)

    def test_files_of_a_folder_that_are_lost_are_told(self):
        source = self.folder / "in"
        source.mkdir()
        (source / "flow.json").write_bytes(EXAMPLE.read_bytes())
        (source / "notes.txt").write_text("no workflow")
        blocked = self.write("blocked", "a file where a folder is wanted")
        done = run("apply", source, "--with", "UnloadModels", "--out", blocked / "x")
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"1 not written", done.stdout)
        done = run("apply", source, "--with", "UnloadModels", "--out", self.folder / "out")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"1 changed, 1 not read", done.stdout)
        (source / "flow.json").write_text("broken")
        self.assertEqual(run("apply", source, "--with", "UnloadModels").returncode, 3)

    def test_a_limit_on_files_is_an_error_like_any_other(self):
        before = self.flow.read_bytes()
        done = run("apply", self.flow, "--with", "UnloadModels", "--in-place",
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.assertEqual(self.flow.read_bytes(), before)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["flow.json"])

    # ---- files ----------------------------------------------------------------------------------

    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_nobody_reads_what_the_file_was_closed_for(self):
        os.chmod(self.flow, 0o600)
        mask = os.umask(0o077)
        try:
            run("apply", self.flow, "--with", "UnloadModels", "--in-place")
            run("convert", self.flow, "-o", self.folder / "prompt")
            run("convert", self.flow, "-o", os.devnull, "--report", self.folder / "report")
            run("plan", self.flow, *MACHINE, "--html", self.folder / "html", "--svg",
                self.folder / "svg", "--save-machine", self.folder / "machine")
            run("undo", self.flow, "-o", self.folder / "undone")
        finally:
            os.umask(mask)
        for name in ("flow.json", "flow.json.bak", "prompt", "report", "html", "svg", "machine",
                     "undone"):
            self.assertEqual(self.mode(self.folder / name), 0o600, name)

    def test_a_backup_is_the_file_that_was_there(self):
        backup = self.folder / "flow.json.bak"
        for node in ("UnloadModels", "EbbCut"):
            backup.unlink(missing_ok=True)
            was = self.flow.read_bytes()
            done = run("apply", self.flow, "--with", node, "--in-place")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotEqual(self.flow.read_bytes(), was)
            self.assertEqual(backup.read_bytes(), was)
        was = self.flow.read_bytes()
        backup.unlink()
        self.assertEqual(run("undo", self.flow, "--in-place").returncode, 0)
        self.assertEqual(self.flow.read_bytes(), EXAMPLE.read_bytes())
        self.assertEqual(backup.read_bytes(), was)

    def test_a_backup_of_a_run_that_was_cut_off_is_no_hindrance(self):
        (self.folder / "flow.json.bak").write_bytes(self.flow.read_bytes())
        done = run("apply", self.flow, "--with", "UnloadModels", "--in-place")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_output_goes_through_a_link(self):
        other = self.write("other", "kept")
        link = self.folder / "link"
        link.symlink_to(other)
        for command in (["convert", self.flow, "-o", link],
                        ["plan", self.flow, *MACHINE, "--html", link],
                        ["apply", self.flow, "--with", "UnloadModels", "--force", "-o", link]):
            self.assertEqual(run(*command).returncode, 3, command)
        self.assertEqual(other.read_text(), "kept")
        self.assertTrue(link.is_symlink())
        self.assertEqual(run("convert", self.flow, "-o", "/dev/stdout").returncode, 0)

    # ---- options --------------------------------------------------------------------------------

    def test_absurd_options_are_refused(self):
        frames = ",".join(["81"] * 20_000)
        self.assertEqual(run("plan", self.flow, *MACHINE, "--frames", frames).returncode, 2)
        self.assertEqual(run("plan", self.flow, *MACHINE, "--bytes", "x=70T").returncode, 2)


if __name__ == "__main__":
    EBB = sys.argv.pop(1)
    unittest.main()
