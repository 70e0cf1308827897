# SPDX-License-Identifier: Apache-2.0
"""The node pack's cuts without ComfyUI and without torch: what leaves, what stays, what is told."""
import logging
import os
import pathlib
import tempfile
import types
import unittest

from stand_ins import (PROMPT, Executor, Module, Patcher, Raises, chain, node, running, stubs,
                       two_pass)

from comfyui import graph, unload
from comfyui.host import folders, values


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


# ---- files that a node reads -------------------------------------------------------------------

class Files(unittest.TestCase):
    def files(self, class_type, **inputs):
        with stubs(folder_paths=types.SimpleNamespace(
                get_full_path=lambda kind, name: f"{kind}/{name}")):
            return folders.files_of({"class_type": class_type, "inputs": inputs})

    def test_a_loader_reads_the_folder_of_its_class(self):
        self.assertEqual(self.files("CLIPVisionLoader", clip_name="a"), ["clip_vision/a"])
        self.assertEqual(self.files("CLIPLoader", clip_name="a", type="wan"), ["text_encoders/a"])
        self.assertEqual(self.files("UNETLoader", unet_name=["3", 0]), [])

    def test_loras_and_loaders_of_packs_are_found_by_their_inputs(self):
        self.assertEqual(self.files("LoraLoaderModelOnly", lora_name="a", strength_model=1.0),
                         ["loras/a"])
        self.assertEqual(self.files("UNETLoaderMultiGPU", unet_name="a"), ["diffusion_models/a"])
        self.assertEqual(self.files("CheckpointLoaderOfAPack", ckpt_name="a"), ["checkpoints/a"])
        self.assertEqual(self.files("KSampler", sampler_name="euler"), [])


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


if __name__ == "__main__":
    logging.getLogger("ebb").propagate = False
    unittest.main(verbosity=1)
