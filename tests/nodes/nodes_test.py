# SPDX-License-Identifier: Apache-2.0
"""The node pack without ComfyUI and without torch: its contract, its decisions, its one line."""
import importlib
import importlib.util
import inspect
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACK = ROOT / "comfyui"
sys.path.insert(0, str(ROOT))

import comfyui  # noqa: E402
from comfyui import between, budget, graph, hooks, journal, memory, nodes, prefetch  # noqa: E402
from comfyui import pack, unload, values  # noqa: E402

MIB = 1 << 20


# ---- stand-ins for ComfyUI's objects ---------------------------------------------------------

class Module:
    """A model's module."""


class Patcher:
    load_device = offload_device = types.SimpleNamespace(type="cpu")

    def __init__(self, module, size=100):
        self.model, self.size = module, size

    def model_size(self):
        return self.size

    def is_clone(self, other):
        return self.model is other.model

    def clone(self):
        return Patcher(self.model, self.size)


class Raises:
    """A value that can't be looked at."""

    @property
    def model(self):
        raise RuntimeError("look away")


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


class Executor:
    """A run in progress: caches, the nodes still to run, and a frame that looks like ComfyUI's."""

    def __init__(self, prompt, current, pending, outputs, executed=()):
        self.prompt, self.current, self.done = prompt, current, set(executed)
        store = types.SimpleNamespace(
            cache={f"key {key}": value for key, value in outputs.items()}, subcaches={},
            cache_key_set=types.SimpleNamespace(keys={key: f"key {key}" for key in prompt}))
        self.store = store
        self.caches = types.SimpleNamespace(
            outputs=store, objects=types.SimpleNamespace(cache={}))
        self.list = types.SimpleNamespace(
            pendingNodes=dict.fromkeys([current, *pending], True), staged_node_id=current,
            is_cached=lambda each: f"key {each}" in store.cache)

    def execute_async(self, call):
        """Outer function: from 0.18 on it keeps what it found in the cache in a list."""
        execution_list, cache_results = self.list, list(self.store.cache.values())
        answer = self.execute(call)
        assert execution_list is self.list and len(cache_results) >= len(self.store.cache)
        return answer

    def execute(self, call):
        caches, execution_list, executed = self.caches, self.list, self.done  # noqa: F841
        dynprompt = types.SimpleNamespace(get_node=self.prompt.get,  # noqa: F841
                                          has_node=self.prompt.__contains__)
        current_item = self.current  # noqa: F841
        return call()

    def begin(self, prompt):
        """The start of the next run, as its executor's frame looks when handlers are told."""
        execution_list = None  # noqa: F841  (made later)
        between._make_room()

    def cut(self, which="pass_before", action="drop", anything=None, connected=()):
        return self.execute_async(lambda: unload.cut("EbbCut", which, action, anything, connected))

    def ids(self):
        return sorted(key[len("key "):] for key in self.store.cache)


PROMPT = {"37": node("UNETLoader", unet_name="folder/high.safetensors"),
          "54": node("ModelSampling", model=["37", 0]), "61": node("Empty"),
          "57": node("Sampler", model=["54", 0], latent=["61", 0]),
          "80": node("EbbCut", anything=["57", 0], action="drop"),
          "56": node("UNETLoader", unet_name="low.safetensors"),
          "58": node("Sampler", model=["56", 0], latent=["80", 0]),
          "9": node("Save", latent=["58", 0])}


def chain(module):
    """Outputs of a loader and of what clones its model."""
    patcher = Patcher(module)
    return {"37": [[patcher]], "54": [[patcher.clone()]]}


def two_pass(**changes):
    return {**{key: {**each, "inputs": dict(each["inputs"])} for key, each in PROMPT.items()},
            **changes}


def running(outputs, prompt=None, pending=("58", "56", "9"), executed=("37", "54", "57", "61")):
    return Executor(prompt or two_pass(), "80", pending, {"61": [[1]], "57": [[2]], **outputs},
                    executed)


# ---- links -----------------------------------------------------------------------------------

class Links(unittest.TestCase):
    def needed(self, prompt, unfinished, cached=(), raw=()):
        return graph.needed(prompt.get, unfinished, lambda each: each in cached,
                            lambda each, name: (each, name) in raw)

    def test_what_a_later_node_reads_is_needed(self):
        self.assertEqual(self.needed(PROMPT, ["58", "56", "9"], ["57", "80"]),
                         {"56": "58", "80": "58", "58": "9"})

    def test_a_node_behind_a_lazy_input_may_be_asked_for(self):
        prompt = two_pass(**{"70": node("Other", model=["37", 0])})
        prompt["58"]["inputs"]["late"] = ["70", 0]
        self.assertEqual(self.needed(prompt, ["58", "9"], ["57", "80", "56"])["37"], "70")

    def test_a_cached_node_is_not_run_again_so_its_sources_are_free(self):
        self.assertNotIn("54", self.needed(PROMPT, ["58", "9"], ["57", "80", "56"]))

    def test_an_input_that_takes_the_link_does_not_read_the_value(self):
        prompt = two_pass(**{"81": node("EbbCut", anything=["58", 0], model_1=["37", 0])})
        self.assertNotIn("37", self.needed(prompt, ["81"], ["58"], [("81", "model_1")]))

    def test_a_cycle_ends(self):
        prompt = {"1": node("A", x=["2", 0]), "2": node("A", x=["1", 0])}
        self.assertEqual(set(self.needed(prompt, ["1"])), {"1", "2"})
        self.assertEqual(graph.nearest_upstream(prompt.get, "1", lambda each: None), set())

    def test_the_nearest_pass_ends_where_a_model_is_read_loaded_or_not(self):
        uses = {"57": set(), "6": {"clip"}}
        prompt = {"80": node("Cut", anything=["57", 0]), "57": node("Sampler", text=["6", 0]),
                  "6": node("Encode")}
        self.assertEqual(graph.nearest_upstream(prompt.get, "80", uses.get), set())
        del uses["57"]
        self.assertEqual(graph.nearest_upstream(prompt.get, "80", uses.get), {"clip"})

    def test_numbers_and_lists_of_other_shapes_are_no_links(self):
        for value in (["1", 0, 0], ["1", "0"], [1, 0], "1", None, {"__value__": ["1", 0]}):
            self.assertFalse(graph.is_link(value), value)


# ---- cuts ------------------------------------------------------------------------------------

class Cuts(unittest.TestCase):
    def test_a_drop_takes_the_whole_chain_and_the_model_dies(self):
        run = running(chain(Module()))
        done = run.cut()
        self.assertEqual(done.dropped, [("high.safetensors", 100)])
        self.assertEqual(run.ids(), ["57", "61"])
        self.assertFalse(done.is_warning())

    def test_nothing_leaves_while_any_member_of_the_chain_is_needed(self):
        prompt = two_pass(**{"58": node("Sampler", model=["54", 0], latent=["80", 0])})
        run = running(chain(Module()), prompt, pending=("58", "9"))
        done = run.cut()
        self.assertEqual(run.ids(), ["37", "54", "57", "61"])
        self.assertTrue(done.is_warning())
        self.assertIn("0 bytes freed: high.safetensors held: node 58 Sampler still needs node 54",
                      done.text())

    def test_the_same_loader_twice_is_one_output_that_stays(self):
        run = running(chain(Module()))
        run.store.cache_key_set.keys["56"] = "key 37"
        self.assertEqual(run.cut().dropped, [])

    def test_a_checkpoint_leaves_with_all_its_models_or_not_at_all(self):
        clip, vae = Patcher(Module(), 10), Patcher(Module(), 20)
        prompt = two_pass(**{"9": node("Decode", latent=["58", 0], vae=["37", 2])})
        outputs = chain(Module())
        outputs["37"] += [[types.SimpleNamespace(patcher=clip)],
                          [types.SimpleNamespace(patcher=vae)]]
        run = running(outputs, prompt)
        self.assertIn("node 9 Decode still needs node 37 UNETLoader", run.cut("all").text())
        self.assertEqual(run.ids(), ["37", "54", "57", "61"])

    def test_who_keeps_a_model_is_named_and_nothing_is_read_twice(self):
        outputs = chain(Module())
        run = running(outputs)
        keeper = types.SimpleNamespace(kept=outputs["54"][0][0], also=outputs["37"][0][0])
        run.caches.objects.cache[("54", "ModelSampling")] = keeper
        del outputs
        done = run.cut()
        self.assertIn("node 54 ModelSampling keeps it for itself", done.text())
        self.assertEqual(run.ids(), ["37", "54", "57", "61"])

    def test_what_is_in_the_nodes_own_input_stays(self):
        outputs = chain(Module())
        done = running(outputs).cut(anything=outputs["54"][0][0])
        self.assertIn("put the node on the LATENT link", done.text())

    def test_connected_names_models_by_link(self):
        run = running(chain(Module()))
        done = run.cut("connected", connected=[["54", 0], "no link"])
        self.assertEqual(done.dropped, [("high.safetensors", 100)])

    def test_private_copies_of_readers_that_take_links_are_let_go(self):
        outputs = chain(Module())
        prompt = two_pass()
        prompt["80"]["inputs"]["model_1"] = ["54", 0]
        run = running(outputs, prompt)
        run.list.execution_cache = {"80": {"54": outputs["54"], "57": [[2]]}}
        del outputs
        self.assertEqual(run.cut("connected", connected=[["54", 0]]).dropped,
                         [("high.safetensors", 100)])

    def test_private_copies_of_other_readers_keep_their_models(self):
        outputs = chain(Module())
        run = running(outputs)
        run.list.execution_cache = {"58": {"54": outputs["54"]}}
        del outputs
        self.assertIn("node 58 Sampler still needs it", run.cut("all").text())

    def test_a_model_that_no_cached_output_carries_is_told(self):
        patcher = Patcher(Module())
        loaded = types.SimpleNamespace(model=patcher, device=patcher.load_device)
        manager = types.SimpleNamespace(current_loaded_models=[loaded])
        with stubs(**{"comfy.model_management": manager}):
            done = running({}).cut("all")
        self.assertIn("0 bytes freed: Module held: a pack keeps it outside", done.text())

    def test_results_cached_with_a_model_stay(self):
        outputs = chain(Module())
        outputs["57"] = [[outputs["54"][0][0]], [{"samples": 1}]]
        self.assertIn("node 57 Sampler is cached together with results",
                      running(outputs).cut().text())

    def test_low_loaded_before_the_cut_is_told_with_its_loader(self):
        outputs = {**chain(Module()), "56": [[Patcher(Module())]]}
        run = running(outputs, pending=("58", "9"), executed=("37", "54", "57", "56"))
        del outputs
        done = run.cut()
        self.assertTrue(done.is_warning())
        self.assertIn("low.safetensors was loaded before me, by node 56 UNETLoader", done.text())

    def test_a_small_model_that_is_early_is_not_worth_a_word(self):
        outputs = {**chain(Module()), "56": [[Patcher(Module(), 10)]]}
        run = running(outputs, pending=("58", "9"), executed=("37", "54", "57", "56"))
        self.assertEqual(run.cut().early, [])

    def test_nothing_to_do_is_said_and_quick(self):
        done = running({}).cut()
        self.assertEqual(done.text(), f"0 bytes to free. {done.seconds:.2f} s")
        self.assertLess(done.seconds, 0.1)

    def test_an_error_inside_never_leaves_the_cut(self):
        run = running(chain(Module()))
        run.store.cache["key 61"] = [[Raises()]]
        with self.assertLogs("ebb", "ERROR"):
            self.assertIn("stopped by", run.cut().text())

    def test_a_model_in_the_input_that_is_cached_nowhere_stays_and_nothing_breaks(self):
        run = running({"57": [[Patcher(Module(), 300)]]})  # the pass before: what makes it `early`
        run.done.discard("57")
        done = run.cut("all", anything=[Patcher(Module(), 200)])
        self.assertNotIn("stopped by", done.text())
        self.assertIn("put the node on the LATENT link", done.text())

    def test_outside_a_run_nothing_is_dropped(self):
        done = unload.cut("UnloadModels", "all", "drop", None)
        self.assertIn("hides its node cache", done.text())


class BetweenRuns(unittest.TestCase):
    """A run is over: LOW is cached, HIGH was dropped at the cut. Another one begins."""
    SMALLER = 10  # bytes: a VAE beside models of 100

    def left(self, coming, **more):
        low = Patcher(Module())
        outputs = {"56": [[low]], "39": [[Patcher(Module(), self.SMALLER)]], "58": [[3]],
                   "80": [[2]], **more}
        run = Executor({**PROMPT, "39": node("VAELoader", vae_name="v.safetensors")}, "", (),
                       {"61": [[1]], "57": [[2]], **outputs})
        run.store.dynprompt = types.SimpleNamespace(
            get_node=run.prompt.get, has_node=run.prompt.__contains__)
        del outputs, low
        with tempfile.TemporaryDirectory() as folder:
            for name in ("high.safetensors", "low.safetensors"):
                pathlib.Path(folder, name).write_bytes(bytes(100))
            with stubs(folder_paths=types.SimpleNamespace(get_full_path=lambda kind, name: (
                    os.path.join(folder, os.path.basename(name))))):
                run.begin(coming)
        return run.ids()

    def changed(self, node_id, **inputs):
        coming = two_pass()
        coming[node_id]["inputs"].update(inputs)
        return coming

    def test_pass_1_finds_no_model_of_pass_2_beside_it(self):
        self.assertEqual(self.left(self.changed("57", seed=2)), ["39", "57", "58", "61", "80"])

    def test_a_changed_source_of_pass_1_is_seen_too(self):
        self.assertNotIn("56", self.left(self.changed("61", width=8)))

    def test_nothing_leaves_where_pass_1_does_not_run(self):
        for coming in (two_pass(), self.changed("58", seed=2)):
            self.assertIn("56", self.left(coming))

    def test_nothing_leaves_where_pass_1_reads_no_file(self):
        self.assertIn("56", self.left(self.changed("57", seed=2), **chain(Module())))

    def test_what_pass_1_uses_as_well_stays(self):
        coming = self.changed("57", seed=2)
        coming["57"]["inputs"]["style"] = ["56", 0]
        self.assertIn("56", self.left(coming))

    def test_parking_and_prompts_without_a_cut_change_nothing(self):
        parked = self.changed("57", seed=2)
        parked["80"]["inputs"]["action"] = "park"
        self.assertIn("56", self.left(parked))
        del parked["80"]
        self.assertIn("56", self.left(parked))


class Values(unittest.TestCase):
    def test_models_are_found_in_what_nodes_hand_around(self):
        module = Module()
        patcher = Patcher(module)

        def closure():
            return patcher
        for value in ([[patcher]], {"pipe": (1, {"model": patcher})}, closure, patcher.clone,
                      types.SimpleNamespace(patcher=patcher),
                      types.SimpleNamespace(guider=types.SimpleNamespace(model_patcher=patcher))):
            self.assertEqual(set(values.models_in(value)), {id(module)}, value)

    def test_a_walk_is_bounded(self):
        loop = []
        loop.append(loop)
        self.assertEqual(values.models_in(loop), {})
        self.assertEqual(values.models_in([[i] for i in range(3 * values.OBJECTS_MAX)]), {})


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
        text = "".join(path.read_text() for path in PACK.glob("*.py")
                       if path.name != "processes.py")  # begins the planner, nothing else
        for word in ("drop_caches", "soft_empty_cache(True", "set_flag", ".reset()", "gc.disable",
                     "subprocess", "eval(", "exec(", "os.system", "setattr("):
            self.assertNotIn(word, text)

    def test_one_file_alone_touches_comfyui(self):
        for path in PACK.glob("*.py"):
            text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
            if path.name not in ("hooks.py", "worker.py"):  # the latter runs without ComfyUI
                self.assertNotRegex(text, r"import (comfy|folder_paths|execution|server|torch)\b")
                self.assertNotRegex(text.replace('sys.modules.get("torch")', ""), r"sys\.modules")
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

    def test_rows_are_those_of_the_documents(self):
        text = (ROOT / "docs/demand.md").read_text()
        starts = ["", "from 0.3.73: ", "from 0.8.0: ", "from 0.18.2: ", "from 0.33.0: "]
        for key, _, columns in budget.ROWS.values():
            cells = [cell.strip() for cell in
                     re.search(rf"^\| {re.escape(key)} \|.*$", text, re.M)[0].split("|")]
            for part, wanted in ((cells[7], [(rate, fixed) for rate, fixed, _ in columns]),
                                 (cells[8], [(slack,) for _, _, slack in columns])):
                said, last = part.split("; "), None
                for start, values in zip(starts, wanted):
                    found = [each[len(start):] for each in said
                             if each.startswith(start) and (start or "from" not in each)]
                    last = tuple(map(float, re.findall(r"[\d.]+", found[0]))) if found else last
                    self.assertEqual(last, values, (key, start))

    def test_ebbs_own_figure_lies_between_live_and_asked(self):
        live, _ = budget.live_bytes(self.CONFIG, self.SHAPE, "0.3.73")
        wanted, _ = self.decide(0)
        self.assertLess(live, wanted)
        self.assertLess(wanted, self.ASKED)
        tokens = 21 * 76 * 52
        self.assertAlmostEqual(live / MIB, 10.125 * tokens * 5120 * 2 / MIB + 9.1 + 135, places=3)

    def test_no_budget_below_what_is_live(self):
        live, _ = budget.live_bytes(self.CONFIG, self.SHAPE, "0.3.73")
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
            budget.with_budget(patcher, lambda module, shape, asked: asked / 2)
            asked = helpers.estimate_memory(None, self.SHAPE, {})[1]
            given = kept["ebb_budget"](lambda model, shape, conds, **_: shape, patcher, self.SHAPE,
                                       {}, model_options={})
            self.assertAlmostEqual(helpers.estimate_memory(None, given, {})[1], asked / 2, places=3)
            kept["ebb_budget"].__closure__  # the wrapper holds no model: only `decide` and modules
            self.assertFalse([cell for cell in kept["ebb_budget"].__closure__
                              if isinstance(cell.cell_contents, Patcher)])


# ---- log and report --------------------------------------------------------------------------

class stubs:
    """Puts stand-ins for ComfyUI's modules in place while it lasts."""

    def __init__(self, **modules):
        self.modules = modules

    def __enter__(self):
        self.before = {name: sys.modules.get(name) for name in self.modules}
        sys.modules.update(self.modules)

    def __exit__(self, *_):
        for name, module in self.before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


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
            self.assertTrue(prefetch.wait(30))
        self.assertEqual(prefetch.start(["/nowhere"]), "nothing to read ahead")

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
