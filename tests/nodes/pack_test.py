# SPDX-License-Identifier: Apache-2.0
"""The node pack without ComfyUI and without torch: its contract, its budget, its one line."""
import importlib.util
import json
import logging
import os
import pathlib
import re
import shutil
import sys
import tempfile
import types
import unittest

from stand_ins import MIB, PACK, ROOT, Module, Patcher, stubs

import comfyui
from comfyui import budget, journal, memory, nodes, pack, prefetch
from comfyui.host import estimate


# ---- the contract ----------------------------------------------------------------------------

class Contract(unittest.TestCase):
    INPUTS = {"UnloadModels": {"anything": None},
              "EbbCut": {"anything": None, "models": "pass_before", "action": "drop",
                         "prefetch": "nothing", "model_1": None, "model_2": None, "model_3": None,
                         "model_4": None},
              "EbbBudget": {"model": None, "budget_gib": 0.0},
              "EbbReport": {"anything": None, "save": True, "filename_prefix": "ebb/report"}}

    def test_ids_inputs_and_defaults(self):
        for name, cls in comfyui.NODE_CLASS_MAPPINGS.items():
            groups = cls.INPUT_TYPES()
            declared = {**groups["required"], **groups.get("optional", {})}
            self.assertEqual({key: (spec[1] if len(spec) > 1 else {}).get("default")
                              for key, spec in declared.items()}, self.INPUTS[name])
            self.assertEqual(cls.CATEGORY, "model_management")
            self.assertNotIn("hidden", groups)  # an id there changes descendants' keys
        self.assertEqual(set(comfyui.NODE_CLASS_MAPPINGS), set(self.INPUTS))
        self.assertEqual(comfyui.NODE_DISPLAY_NAME_MAPPINGS["UnloadModels"],
                         "Unload All Models (Free VRAM)")

    def test_the_page_names_every_input_and_default(self):
        rows = {row.split("|")[1].strip(" `"): row for row in
                (ROOT / "docs/nodes.md").read_text().splitlines() if row.startswith("| `")}
        for name, inputs in self.INPUTS.items():
            for key, default in inputs.items():
                shown = "model_1` to `model_4" if key.startswith("model_") else key
                self.assertIn(f"`{shown}`", rows[name])
                self.assertIn(str(default).lower() if default not in (None, 0.0) else "",
                              rows[name])

    def test_any_type_passes_every_comparison(self):
        self.assertFalse(nodes.ANY != "LATENT")
        self.assertEqual(json.dumps(nodes.ANY), '"*"')

    def test_values_come_out_as_the_same_object(self):
        value = {"samples": object()}
        for name, more in (("UnloadModels", {}), ("EbbCut", {}), ("EbbReport", {"save": False})):
            answer = comfyui.NODE_CLASS_MAPPINGS[name]().run(value, **more)
            self.assertIs(answer["result"][0], value)
            self.assertEqual(set(answer["ui"]), {"text", "ebb"})
            json.dumps(answer["ui"])

    def test_nothing_makes_descendants_run_again(self):
        for name, cls in comfyui.NODE_CLASS_MAPPINGS.items():
            check = getattr(cls, "IS_CHANGED", None)
            if check is not None:
                self.assertEqual({check(anything=None), check(save=False)}, {""}, name)
            self.assertFalse(hasattr(cls, "NOT_IDEMPOTENT"))

    def test_the_pack_never_does_what_other_unloaders_are_feared_for(self):
        text = "".join(path.read_text() for path in [*PACK.glob("*.py"), *PACK.glob("host/*.py")]
                       if path.name != "processes.py")  # begins the planner, nothing else
        for word in ("drop_caches", "soft_empty_cache(True", "set_flag", ".reset()", "gc.disable",
                     "subprocess", "eval(", "exec(", "os.system", "setattr("):
            self.assertNotIn(word, text)

    def test_what_comfyui_loads_is_short(self):
        self.assertLess(len((PACK / "__init__.py").read_text().splitlines()), 15)

    def test_metadata_help_and_examples(self):
        text = (PACK / "pyproject.toml").read_text()
        version = re.search(r'EBB_VERSION "(.+)"', (ROOT / "include/ebb/version.h").read_text())[1]
        self.assertIn(f'version = "{version}"', text)
        for word in ("[tool.comfy]", "PublisherId", "DisplayName", 'name = "ebb"'):
            self.assertIn(word, text)
        for name in self.INPUTS:
            page = (PACK / "web" / "docs" / f"{name}.md").read_text()
            for key in self.INPUTS[name]:
                self.assertIn("model_1" if key.startswith("model_") else key, page)
        examples = list((PACK / "example_workflows").glob("*.json"))
        self.assertGreaterEqual(len(examples), 2)
        for path in examples:
            self.check_example(json.loads(path.read_text()))

    def check_example(self, graph_):
        by_id = {each["id"]: each for each in graph_["nodes"]}
        ours = [each for each in graph_["nodes"] if each["type"] in self.INPUTS]
        self.assertTrue(ours)
        links = {link[0]: link for link in graph_["links"]}
        self.assertEqual(len(links), len(graph_["links"]))
        for link, origin, slot, target, place, _ in graph_["links"]:
            self.assertIn(link, by_id[origin]["outputs"][slot]["links"])
            self.assertEqual(by_id[target]["inputs"][place]["link"], link)
        for each in ours:
            self.assertLessEqual({given["name"] for given in each["inputs"]},
                                 set(self.INPUTS[each["type"]]))
            widgets = [key for key, default in self.INPUTS[each["type"]].items()
                       if default is not None]
            self.assertEqual(len(each.get("widgets_values", [])), len(widgets))


# ---- budget ----------------------------------------------------------------------------------

class Budget(unittest.TestCase):
    CONFIG = {"image_model": "wan2.1", "dim": 5120, "model_type": "t2v"}
    SHAPE = [1, 16, 21, 152, 104]  # 832x1216, 81 frames
    ASKED = 21 * 152 * 104 * 2 * 0.01 * 5120 / 2222 * MIB

    def decide(self, given, version="0.3.73", **config):
        return budget.decide(given, {**self.CONFIG, **config}, self.SHAPE, self.ASKED, version)

    def test_ebbs_own_figure_lies_between_live_and_asked(self):
        live = budget.live_bytes(self.CONFIG, self.SHAPE, "0.3.73")[0]
        wanted, _ = self.decide(0)
        self.assertLess(live, wanted)
        self.assertLess(wanted, self.ASKED)
        tokens = 21 * 76 * 52
        self.assertAlmostEqual(live / MIB, 10.125 * tokens * 5120 * 2 / MIB + 9.1 + 135, places=3)

    def test_no_budget_below_what_is_live(self):
        live = budget.live_bytes(self.CONFIG, self.SHAPE, "0.3.73")[0]
        wanted, why = self.decide(1 << 30)
        self.assertEqual(wanted, live)
        self.assertIn("below what is live", why)
        self.assertEqual(self.decide(20 << 30), (20 << 30, "as given"))

    def test_where_live_is_unknown_the_estimate_is_never_lowered(self):
        for config in ({"image_model": "other"}, {"dim": 4096}, {"model_type": "vace"}):
            self.assertIsNone(self.decide(1 << 30, **config)[0])
            self.assertIsNone(self.decide(0, **config)[0])
            self.assertEqual(self.decide(20 << 30, **config)[0], 20 << 30)

    def test_versions_between_take_the_column_before_them(self):
        self.assertEqual([budget._column(each) for each in
                          ("0.3.10", "0.3.70", "0.3.76", "0.8.1", "0.20.0", "1.0.0", "nightly",
                           "")],
                         [0, 0, 1, 2, 3, 4, 4, 4])

    def test_without_comfyui_the_model_itself_comes_out(self):
        model = Patcher(Module())
        self.assertIs(budget.apply(model, 1.0, print)[0], model)

    def test_the_estimate_becomes_what_was_decided(self):
        helpers = types.SimpleNamespace(estimate_memory=lambda model, shape, conds: (
            0, shape[0] * shape[2] * shape[3] * shape[4] * 10 + 500))
        kind = types.SimpleNamespace(PREPARE_SAMPLING="prepare_sampling")
        extension = types.SimpleNamespace(WrappersMP=kind)
        kept = {}

        class Clonable(Patcher):
            def clone(self):
                return Clonable(self.model)

            def add_wrapper_with_key(self, kind, key, wrapper):
                kept[key] = wrapper
        with stubs(**{"comfy.patcher_extension": extension, "comfy.sampler_helpers": helpers}):
            patcher = Clonable(Module())
            estimate.with_budget(patcher, lambda module, shape, asked: asked / 2)
            asked = helpers.estimate_memory(None, self.SHAPE, {})[1]
            given = kept["ebb_budget"](lambda model, shape, conds, **_: shape, patcher, self.SHAPE,
                                       {}, model_options={})
            self.assertAlmostEqual(helpers.estimate_memory(None, given, {})[1], asked / 2, places=3)
            kept["ebb_budget"].__closure__  # the wrapper holds no model: only `decide` and modules
            self.assertFalse([cell for cell in kept["ebb_budget"].__closure__
                              if isinstance(cell.cell_contents, Patcher)])


# ---- log and report --------------------------------------------------------------------------

class Log(unittest.TestCase):
    def folders(self, folder):
        return types.SimpleNamespace(
            get_output_directory=lambda: folder,
            get_save_image_path=lambda prefix, base: (
                os.path.join(base, os.path.dirname(prefix)), os.path.basename(prefix), 1,
                os.path.dirname(prefix), prefix))

    def report(self, folder):
        with stubs(folder_paths=self.folders(folder)):
            journal.add({"kind": "EbbCut", "node": "80", "text": "Dropped x. 0.01 s",
                         "seconds": 0.01, "dropped": [{"model": "x", "bytes": 5}]})
            return journal.finish("report")

    def test_reports_are_saved_and_never_overwritten(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = {self.report(folder)[2] for _ in range(3)}
            self.assertEqual(len(paths), 3)
            for path in paths:
                report = json.loads(pathlib.Path(path).read_text())
                self.assertEqual(report["format"], "ebb.report/1")
            self.assertEqual(sorted(os.listdir(folder)), sorted(map(os.path.basename, paths)))

    def test_a_folder_that_cannot_be_written_is_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            blocked = os.path.join(folder, "file")
            pathlib.Path(blocked).write_text("")
            with self.assertLogs("ebb", "WARNING") as said:
                text, _, path = self.report(blocked)
            self.assertIsNone(path)
            self.assertIn("EbbCut (80)", text)
            self.assertEqual(len(said.output), 1)

    def test_an_unknown_comfyui_is_one_line_and_the_nodes_pass_values_through(self):
        half = types.SimpleNamespace(current_loaded_models=[])
        with stubs(**{"comfy.model_management": half}):
            with self.assertLogs("ebb", "WARNING") as said:
                pack.start(comfyui.NODE_CLASS_MAPPINGS)
            self.assertEqual(len(said.output), 1)
            self.assertIn("comfy.model_management.free_memory", said.output[0])
            value = object()
            self.assertIs(nodes.UnloadModels().run(value)["result"][0], value)

    def test_two_packs_with_one_id_are_one_line(self):
        other = type("UnloadModels", (), {"__module__": "custom_nodes.other"})
        whole = types.SimpleNamespace(current_loaded_models=[], free_memory=1, get_free_memory=1,
                                      soft_empty_cache=1)
        with stubs(**{"nodes": types.SimpleNamespace(NODE_CLASS_MAPPINGS={"UnloadModels": other}),
                      "comfy.model_management": whole}):
            with self.assertLogs("ebb", "WARNING") as said:
                pack.start(comfyui.NODE_CLASS_MAPPINGS)
        self.assertEqual(len(said.output), 1)
        self.assertIn("UnloadModels is another pack's node", said.output[0])

    def test_a_second_copy_says_so_once_and_does_nothing(self):
        source = (PACK / "__init__.py").read_text()
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder, "ebb (1)")
            shutil.copytree(PACK, copy, ignore=shutil.ignore_patterns("__pycache__"))
            spec = importlib.util.spec_from_file_location("second_copy", copy / "__init__.py")
            second = importlib.util.module_from_spec(spec)
            with self.assertLogs("ebb", "WARNING") as said, stubs(second_copy=second):
                spec.loader.exec_module(second)
            for name in [each for each in sys.modules if each.startswith("second_copy.")]:
                del sys.modules[name]
        self.assertIn("WEB_DIRECTORY", source)
        self.assertEqual((second.NODE_CLASS_MAPPINGS, second.WEB_DIRECTORY), ({}, None))
        self.assertEqual(len(said.output), 1)
        self.assertIn(f"is a second one of {PACK}", said.output[0])

    def test_a_pack_that_cannot_load_leaves_comfyui_alone(self):
        source = (PACK / "__init__.py").read_text()
        space = {"__name__": "broken", "__package__": ""}  # its relative import fails
        with self.assertLogs(level="WARNING") as said:
            code = compile(source, "init", "exec")
            types.FunctionType(code, space)()
        self.assertEqual(space["NODE_CLASS_MAPPINGS"], {})
        self.assertEqual(len(said.output), 1)

    def test_sizes_as_text(self):
        self.assertEqual([memory.text_of(each) for each in (None, 0, 13629 * MIB, 5 * MIB)],
                         ["unknown", "0 MiB", "13.3 GiB", "5 MiB"])

    def test_what_this_process_holds_is_read(self):
        before = memory.resident_bytes()
        block = bytearray(64 * MIB)
        self.assertGreater(memory.resident_bytes() - before, 32 * MIB)
        del block
        self.assertIsInstance(memory.hand_back(), bool)


class Prefetch(unittest.TestCase):
    def test_reads_in_the_background_and_stops(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(MIB))
            file.flush()
            self.assertIn("(1 MiB)", prefetch.start([file.name]))
            prefetch._thread.join(30)
            self.assertFalse(prefetch._thread.is_alive())
        self.assertEqual(prefetch.start(["/nowhere"]), "nothing to read ahead")

    def test_a_cut_reads_the_next_files(self):
        answer = nodes.EbbCut().run(None, prefetch="next_files")
        self.assertIn("nothing to read ahead", answer["ui"]["text"][0])

    def test_leaves_ram_alone_where_it_is_short(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
            file.flush()
            real = memory.available_bytes
            memory.available_bytes = lambda: prefetch.RESERVE
            try:
                self.assertIn("no RAM to read", prefetch.start([file.name]))
            finally:
                memory.available_bytes = real


if __name__ == "__main__":
    logging.getLogger("ebb").propagate = False
    unittest.main(verbosity=1)
