# SPDX-License-Identifier: Apache-2.0
"""The Python package over the library that was just built.

usage: python_test.py LIBEBB_C
"""
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOW = ROOT / "examples/workflows/wan22_two_pass.json"
RUN = {"gpu": "rtx5090", "vram_free": "30724MiB", "ram": 64 << 30, "os": "windows",
       "comfyui": "0.3.73", "flags": "--reserve-vram 4"}
LIBRARY = sys.argv.pop(1)
os.environ["EBB_LIBRARY"] = LIBRARY
sys.path.insert(0, str(ROOT / "python"))
import ebb  # noqa: E402


class Plan(unittest.TestCase):
    def test_a_path_bytes_text_and_a_dict_are_the_same_workflow(self):
        text = FLOW.read_text(encoding="utf-8")
        plans = [ebb.plan(flow, **RUN) for flow in
                 (FLOW, str(FLOW), text, text.encode(), json.loads(text))]
        for plan in plans:
            self.assertEqual(plan["verdict"], "offloads")
            self.assertEqual(plan["passes"], plans[0]["passes"])
        self.assertEqual(plans[0]["file"], str(FLOW))

    def test_one_frame_count_replaces_and_several_make_a_table(self):
        self.assertEqual(ebb.plan(FLOW, frames=61, **RUN)["verdict"], "fits")
        table = ebb.plan(FLOW, frames=[61, 81], **RUN)["table"]
        self.assertEqual([row["frames"] for row in table], [61, 81])

    def test_definitions_of_a_server_are_asked(self):
        prompt = {"1": {"class_type": "Mine", "inputs": {}}}
        with self.assertRaises(ebb.Error):
            ebb.plan({"1": {"class_type": "Mine", "inputs": {"a": ["2", 0]}}}, vram="8G",
                     object_info={"Mine": {"input": {}, "output": [], "output_node": False}})
        ebb.plan(prompt, vram="8G", object_info={
            "Mine": {"input": {"required": {}}, "output": ["IMAGE"], "output_node": True}})

    def test_a_picture(self):
        self.assertTrue(ebb.svg(FLOW, **RUN).startswith("<svg"))


class Patch(unittest.TestCase):
    def test_what_apply_puts_in_undo_takes_out_byte_for_byte(self):
        done = ebb.apply(FLOW, with_="UnloadModels")
        self.assertTrue(done["changed"])
        self.assertIn("UnloadModels", done["text"])
        back = ebb.undo(done["text"])
        self.assertTrue(back["exact"])
        self.assertEqual(back["text"], FLOW.read_text(encoding="utf-8"))

    def test_a_graph_becomes_its_prompt(self):
        done = ebb.convert(FLOW)
        self.assertEqual(done["schema"], "ebb.convert/1")
        self.assertEqual(done["prompt"]["12"]["class_type"], "KSamplerAdvanced")
        self.assertEqual(done["prompt"]["12"]["inputs"]["latent_image"], ["9", 0])


class Wrong(unittest.TestCase):
    def test_errors_say_what_where_and_the_way_out(self):
        with self.assertRaises(ebb.Error) as caught:
            ebb.plan('{"nodes": [', **RUN)
        self.assertEqual((caught.exception.code, caught.exception.line), ("input", 1))
        for options, part in (({"gpus": "x"}, "gpus"), ({"vram": "much"}, "is not a size"),
                              ({"gpu": "rtx50900"}, "rtx50900"), ({"flags": "--nope"}, "--nope")):
            with self.assertRaises(ebb.Error) as caught:
                ebb.plan(FLOW, **options)
            self.assertIn(part, str(caught.exception))
            self.assertTrue(caught.exception.hint)

    def test_nothing_is_no_workflow(self):
        for nothing in (b"", "{}", {}, "[" * 1_000_000):
            with self.assertRaises(ebb.Error):
                ebb.plan(nothing, vram="8G")
        with self.assertRaises(ebb.Error):
            ebb.plan(FLOW.with_name("not_there.json"), vram="8G")

    def test_a_library_that_is_not_there_is_one_sentence(self):
        for library in ("/not/there.so", __file__):
            done = subprocess.run([sys.executable, "-c", "import ebb"], capture_output=True,
                                  text=True, check=False,
                                  env={**os.environ, "EBB_LIBRARY": library,
                                       "PYTHONPATH": str(ROOT / "python")})
            self.assertIn("ImportError: Ebb's native library can't be used", done.stderr)


class Threads(unittest.TestCase):
    def test_many_threads_get_what_one_gets(self):
        expected, wrong = ebb.plan(FLOW, **RUN), []

        def work():
            for _ in range(5):
                if ebb.plan(FLOW, **RUN) != expected:
                    wrong.append(1)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertFalse(wrong)


unittest.main()
