# SPDX-License-Identifier: Apache-2.0
"""The node pack's automatic mode over the library that was just built, without ComfyUI.

usage: automatic_test.py LIBEBB_C
"""
import asyncio
import contextlib
import copy
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ["EBB_LIBRARY"] = sys.argv.pop(1)
sys.path[:0] = [str(ROOT), str(ROOT / "python"), str(ROOT / "tests" / "comfy")]
logging.disable(logging.WARNING)

from comfyui import automatic, circumstances, history, jobs, planner, processes  # noqa: E402
from comfyui import settings  # noqa: E402
from comfyui.host import about, devices, folders, progress, server  # noqa: E402
from comfyui.planner import Refused  # noqa: E402

FLOW = json.loads((ROOT / "examples/workflows/wan22_two_pass.json").read_text())
HERE = {"vram": "32607M", "vram_free": "30724M", "ram": "64G", "os": "windows",
        "comfyui": "0.3.73", "flags": "--reserve-vram 4"}  # offloads 2,300 MiB


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def prompt():
    """The example as its prompt."""
    return copy.deepcopy(planner.find()[0].convert(FLOW)["prompt"])


processes_here = processes.Pool(1, "test")


class Server:
    """What the automatic mode uses of ComfyUI's server; remembers what was sent."""

    def __init__(self):
        self.sent, self.client_id, self.handlers, self.routes = [], None, [], self

    def send_sync(self, event, data, sid=None):
        self.sent.append((event, data, sid))

    def add_on_prompt_handler(self, handler):
        self.handlers.append(handler)

    def get(self, path):
        return lambda function: function
    post = get


class Case(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.now(automatic._pool.threads, "submit", lambda function, *rest: function(*rest))
        self.loaded(server=types.SimpleNamespace(PromptServer=types.SimpleNamespace(
            instance=self.server)))
        self.now(automatic, "_told", {})
        self.now(history, "_runs", {})
        self.now(history, "_pending", {})
        self.now(history, "threading", mock.MagicMock())
        environment = mock.patch.dict(os.environ, EBB_PLAN_OPTIONS=json.dumps(HERE))
        environment.start()
        self.addCleanup(environment.stop)

    def now(self, place, name, value):
        change = mock.patch.object(place, name, value)
        change.start()
        self.addCleanup(change.stop)

    def loaded(self, **modules):
        """Stand-ins for modules of ComfyUI's."""
        change = mock.patch.dict(sys.modules, modules)
        change.start()
        self.addCleanup(change.stop)

    def queue(self, mode, body):
        """As the server does: the middleware sees the bytes, then its handler the object."""
        os.environ["EBB_PLAN"] = mode

        async def submit():
            await automatic.look(json.dumps(body).encode())
            return automatic.on_prompt(body)
        return asyncio.run(submit())

    def predicted(self):
        return jobs.advise({"prompt": prompt()}, lambda classes, asked: dict(HERE))["plan"]

    def answer(self, do, **body):
        """The answer of a route's job. Raises Refused."""
        return processes.told(*processes_here.answer(do, json.dumps(body).encode(),
                                                     circumstances.options_for))


class Prompts(Case):
    def test_off_touches_nothing(self):
        body = {"prompt": prompt()}
        self.assertIs(self.queue("off", body), body)
        self.assertEqual((self.server.sent, history.runs()), ([], []))

    def test_advise_leaves_the_prompt_and_says_the_way_out(self):
        body = {"prompt": prompt(), "client_id": "me", "number": 3}
        before = copy.deepcopy(body)
        new = self.queue("advise", body)
        self.assertIs(new["prompt"], body["prompt"])
        self.assertEqual(body, before)
        self.assertEqual({key: new[key] for key in before}, before)
        (event, told, client), = self.server.sent
        self.assertEqual((event, client, told["verdict"]), ("ebb.advice", "me", "offloads"))
        self.assertIn("Cheapest way out: start without --reserve-vram 4", told["fix"]["sentence"])
        self.assertEqual(history.runs()[0]["prompt_id"], new["prompt_id"])

    def test_the_same_is_news_once(self):
        for seed in (1, 2):
            self.queue("advise", {"prompt": prompt(), "prompt_id": str(seed)})
        self.queue("advise", {"prompt": prompt(), "client_id": "another"})
        self.assertEqual([told["news"] for _, told, _ in self.server.sent], [True, False, True])

    def test_what_nobodys_browser_queued_is_told_to_no_other_user(self):
        for several, told in ((False, 1), (True, 0)):
            self.server.sent.clear()
            self.now(about, "has_several_users", lambda several=several: several)
            self.queue("advise", {"prompt": prompt()})
            self.assertEqual(len(self.server.sent), told)
        self.assertEqual(len(history.runs()), 2)

    def test_apply_puts_nodes_in_and_keeps_everything_else(self):
        body = {"prompt": prompt(), "prompt_id": "given", "front": True, "extra_data": {
            "x": [1.5, None, 12345678901234567890], "extra_pnginfo": {"workflow": FLOW, "y": 1}}}
        before = copy.deepcopy(body)
        new = self.queue("apply", body)
        self.assertEqual(body, before)
        added = {key for key in new["prompt"] if key not in before["prompt"]}
        self.assertEqual({new["prompt"][key]["class_type"] for key in added}, {"EbbBudget"})
        self.assertEqual(new["extra_data"]["x"], before["extra_data"]["x"])
        self.assertEqual(new["extra_data"]["extra_pnginfo"]["y"], 1)
        graph = new["extra_data"]["extra_pnginfo"]["workflow"]
        self.assertEqual(len(graph["nodes"]), len(FLOW["nodes"]) + 2)
        self.assertEqual((new["front"], new["prompt_id"]), (True, "given"))
        told = self.server.sent[0][1]
        self.assertEqual(len(told["applied"]), 2)
        self.assertIn("OFFLOADS 870 of 13,629 MiB", told["headline"])  # 2,300 without them

    def test_apply_never_changes_what_is_computed(self):
        os.environ["EBB_PLAN_OPTIONS"] = json.dumps({"gpu": "rtx4070", "ram": "8G",
                                                     "comfyui": "0.3.73"})
        new = self.queue("apply", {"prompt": prompt()})
        self.assertNotIn("VAEDecodeTiled", [each["class_type"] for each in new["prompt"].values()])

    def test_a_part_of_the_graph_is_planned_as_that_part(self):
        body = {"prompt": {**prompt(), "a": node("EmptyImage", width=8, height=8, batch_size=1),
                           "b": node("PreviewImage", images=["a", 0])},
                "partial_execution_targets": ["b"]}
        new = self.queue("apply", body)
        self.assertIs(new["prompt"], body["prompt"])
        self.assertEqual(self.server.sent[0][1]["verdict"], "fits")

    def test_nonsense_comes_back_as_it_is(self):
        for body in (None, 7, [], {}, {"prompt": None}, {"prompt": []}, {"prompt": {}},
                     {"prompt": {"1": 7}}, {"prompt": {"1": {}}}, {"prompt": {"1": {
                         "class_type": "A"}}}, {"prompt": {"1": {"class_type": ["A"]}}}):
            for mode in ("advise", "apply"):
                self.assertIs(self.queue(mode, body), body)
        for inputs in ({"x": [[], 0]}, {"x": ["9", 0]}, {"x": [None, {}]}, {"x": float("nan")}):
            body = {"prompt": {"1": {"class_type": "KSampler", "inputs": inputs}}}
            for mode in ("advise", "apply"):
                self.assertIs(self.queue(mode, body)["prompt"], body["prompt"])

    def test_what_breaks_inside_is_one_line_and_the_prompt_runs(self):
        for place, name in ((circumstances, "options_for"), (automatic._pool, "answer"),
                            (automatic, "_made"), (server, "send"), (history, "predict")):
            for mode in ("advise", "apply"):
                with mock.patch.object(place, name, side_effect=RuntimeError("on purpose")), \
                        mock.patch.object(automatic.log, "warning") as warning:
                    automatic._told.clear()
                    body = {"prompt": prompt()}
                    new = self.queue(mode, body)
                    self.assertEqual(warning.call_count, 1, (name, mode))
                if mode == "advise" or name in ("options_for", "_made"):
                    self.assertIs(new["prompt"], body["prompt"])

    def test_a_thousand_nodes_are_planned_and_the_time_is_printed(self):
        big = prompt()
        last = ["big", 0]
        big["big"] = node("EmptyImage", width=8, height=8, batch_size=1, color=0)
        while len(big) < 999:
            big[str(len(big) + 1000)] = node("ImageInvert", image=last)
            last = [str(len(big) + 999), 0]
        big["end"] = node("PreviewImage", images=last)
        for mode in ("advise", "apply"):
            times = [self.on_the_loop(mode, {"prompt": big}) for _ in range(5)]
            print(f"{mode}: 1,000 nodes stop the event loop for {min(times):.1f} ms of CPU time")

    def on_the_loop(self, mode, body):
        """Milliseconds of CPU time of the thread that is the event loop's, for one submission."""
        os.environ["EBB_PLAN"] = mode
        raw = json.dumps(body).encode()

        async def submit():
            await automatic.look(raw)
            return automatic.on_prompt(body)
        with mock.patch.object(automatic._pool.threads, "submit"):
            loop = asyncio.new_event_loop()
            began = time.thread_time()
            loop.run_until_complete(submit())
            spent = 1000 * (time.thread_time() - began)
            loop.close()
        for _ in range(automatic.WAITING_MAX):
            with contextlib.suppress(ValueError):
                automatic._waiting.release()
        return spent

    def test_nothing_hostile_stops_the_event_loop(self):
        """Long texts, many samplers, a submission above the bound: less than 20 ms of it each."""
        def texts(text):
            made = prompt()
            made[next(key for key, each in made.items() if "text" in each["inputs"])][
                "inputs"]["text"] = text
            return made
        many = prompt()
        sampler = next(key for key, each in many.items()
                       if each["class_type"] == "KSamplerAdvanced")
        for number in range(600):
            many[f"k{number}"] = copy.deepcopy(many[sampler])
        shapes = {"newlines": texts("\n" * 400_000), "letters": texts("\u4e2d" * 300_000),
                  "samplers": many, "large": texts("x" * (17 << 20))}
        for name, made in shapes.items():
            for mode in ("advise", "apply"):
                spent = min(self.on_the_loop(mode, {"prompt": made}) for _ in range(3))
                self.assertLess(spent, 20, (name, mode))


class Setting(Case):
    def test_the_environment_then_the_settings_then_advise(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "comfy.settings.json")
            self.now(folders, "settings_path", lambda: str(path))
            os.environ.pop("EBB_PLAN", None)
            self.assertEqual(settings.setting(), ("advise", "default"))
            for text, wanted in (('{"Ebb.PlanEveryPrompt": "apply"}', ("apply", "settings")),
                                 ('{"Ebb.PlanEveryPrompt": "of"}', ("advise", "default")),
                                 ('{"Ebb.PlanEveryPrompt": []}', ("advise", "default")),
                                 ("[]", ("advise", "default")), ("{", ("advise", "default"))):
                path.write_text(text)
                self.assertEqual(settings.setting(), wanted, text)
            os.environ["EBB_PLAN"] = "OFF"
            self.assertEqual(settings.setting(), ("off", "EBB_PLAN"))


class Circumstances(Case):
    def test_classes_that_can_not_say_what_they_are(self):
        class Good:
            RETURN_TYPES, OUTPUT_NODE = ("IMAGE",), True
            INPUT_TYPES = classmethod(lambda cls: {"required": {"b": ("INT", {"default": 1}),
                                                                "a": (["x", "y"],)}})

        class Odd(Good):
            INPUT_TYPES = classmethod(lambda cls: {"required": {"a": (object(), {"f": len})}})

        class Bad(Good):
            INPUT_TYPES = classmethod(lambda cls: 1 / 0)

        class New:
            GET_NODE_INFO_V1 = classmethod(lambda cls: {"name": "New", "output_node": False})
        classes = {"Good": Good, "Odd": Odd, "Bad": Bad, "New": New}
        self.loaded(nodes=types.SimpleNamespace(NODE_CLASS_MAPPINGS=classes))
        found = about.definitions({*classes, "Absent"})
        self.assertEqual(sorted(found), ["Good", "New", "Odd"])
        self.assertEqual(found["Good"]["input_order"], {"required": ["b", "a"]})
        self.assertTrue(found["Good"]["output_node"])

    def test_classes_of_graphs_and_prompts(self):
        self.assertEqual(planner.classes_of({"1": node("A"), "2": 7}), {"A"})
        graph = {"nodes": [{"type": "A"}, {"type": None}, 7], "definitions": {
            "subgraphs": [{"nodes": [{"type": "B"}]}]}}
        self.assertEqual(planner.classes_of(graph), {"A", "B"})

    def test_flags_that_differ_from_their_default(self):
        args = types.SimpleNamespace(reserve_vram=4.0, lowvram=True, cache_lru=0, cache_ram=[2.0],
                                     async_offload=None, port=8188)
        parser = types.SimpleNamespace(get_default=lambda name: {"cache_lru": 0}.get(name))
        self.loaded(**{"comfy.cli_args": types.SimpleNamespace(args=args, parser=parser)})
        self.assertEqual(about.flags(), "--reserve-vram 4.0 --lowvram --cache-ram 2.0")

    def test_a_version_is_read_or_left_out(self):
        for text, wanted in (("0.18.2", "0.18.2"), ("v1.2.3+of-mine", "1.2.3"), ("main", None),
                             ("", None)):
            self.loaded(comfyui_version=types.SimpleNamespace(__version__=text))
            self.assertEqual(circumstances.comfyui_version(), wanted)

    def test_a_card_holds_what_comfyui_loaded_as_free(self):
        cuda = types.SimpleNamespace(type="cuda")
        loaded = types.SimpleNamespace(device=cuda, model=types.SimpleNamespace(
            loaded_size=lambda: 3))
        gone = types.SimpleNamespace(device=cuda, model=None)
        manager = types.SimpleNamespace(
            get_torch_device=lambda: cuda, get_total_memory=lambda device: 10,
            get_free_memory=lambda device: 5, current_loaded_models=[loaded, gone])
        self.loaded(**{"comfy.model_management": manager, "torch": types.SimpleNamespace(
            cuda=types.SimpleNamespace(get_device_name=lambda device: "NVIDIA Card"))})
        self.assertEqual(devices.card(),
                         ({"gpu": "NVIDIA Card", "vram": 10, "vram_free": 8}, ""))
        for kind in ("cpu", "mps"):
            cuda.type = kind
            self.assertIsNone(devices.card()[0])


class Planner(Case):
    def test_a_card_without_a_name_in_the_table_is_planned_by_its_size(self):
        plan, _ = planner.call("plan", FLOW, {"gpu": "Some Card 9", "vram": "24G"})
        self.assertEqual(plan["machine"]["vram_total_bytes"], 24 << 30)
        with self.assertRaises(Refused):
            planner.call("plan", FLOW, {"gpu": "Some Card 9"})

    def test_options_that_name_files_are_refused(self):
        for options in ({"file": "x"}, {"models": "/"}, {"machine": "x"}, {"folders": {}},
                        {"object_info": {}}, {"comfyui": "/"}, {"flags": "@x"}, [], "x",
                        {"frames": list(range(33))}):
            with self.assertRaises(Refused):
                planner.check_options(options)
        self.assertEqual(planner.check_options(None), {})

    def test_a_fix_is_a_way_out_only_if_the_verdict_gets_better(self):
        def fix(verdict, vram, ram, **more):
            return {"id": "i", "kind": "node", "title": f"{verdict} {vram} {ram}", "effect": "e",
                    "price": "p", "helps": True, "verdict": verdict, "vram_bytes": vram,
                    "ram_bytes": ram, **more}
        drop, ease, out = fix("offloads", 0, 5), fix("offloads", 5, 0), fix("tight", 9, 0)
        nothing = fix("fits", 9, 9, kind="nothing")
        for verdict, fixes, wanted in (
                ("offloads", [drop, ease, out], "Cheapest way out: tight 9 0"),
                ("offloads", [drop, ease], "What helps: offloads 5 0"), ("offloads", [drop], None),
                ("ram_short", [drop], "Cheapest way out"), ("fits", [nothing, out], None),
                ("unknown", [out], None), ("spills", [{**out, "helps": False}], None)):
            found = planner.cheapest({"verdict": verdict, "fixes": fixes})
            self.assertEqual(found is not None, wanted is not None, (verdict, found))
            self.assertIn(wanted or "", (found or {"sentence": ""})["sentence"])

    def test_trouble_beside_what_is_unknown_has_its_fix(self):
        ease = {"id": "i", "kind": "node", "title": "drop", "effect": "e", "price": "p",
                "helps": True, "verdict": "unknown", "vram_bytes": 0, "ram_bytes": 5}
        told = {**ease, "id": "tell-files", "ram_bytes": None, "vram_bytes": None}
        plan = {"verdict": "unknown", "known_verdict": "ram_short", "fixes": [told, ease]}
        self.assertEqual(planner.cheapest(plan)["sentence"][:16], "What helps: drop")
        self.assertIsNone(planner.cheapest({**plan, "known_verdict": "fits"}))
        made = {**dict.fromkeys(jobs.PREDICTED), **plan, "machine": {}, "passes": []}
        with mock.patch.object(planner, "call", return_value=(made, 1.0)):
            advised = jobs.advise({"prompt": {}}, lambda classes, options: {})
        self.assertEqual(advised["plan"]["known_verdict"], "ram_short")

    def test_a_folder_of_the_same_name_is_not_the_library(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "ebb_like").mkdir()
            pathlib.Path(folder, "ebb_like", "__init__.py").write_text("raise SystemExit")
            with mock.patch.object(sys, "path", [folder, *sys.path]):
                self.assertFalse(planner._is_there("ebb_like"))
        self.assertTrue(planner._is_there("ebb"))


class Routes(Case):
    def test_plan_apply_and_undo(self):
        told = self.answer("plan", workflow=FLOW)
        self.assertEqual(told["plan"]["verdict"], "offloads")
        self.assertTrue(told["svg"].startswith("<svg"))
        told = self.answer("apply", workflow=FLOW)
        self.assertTrue(told["changed"])
        back = self.answer("undo", workflow=told["workflow"])
        self.assertEqual((back["workflow"], back["changed"], back["nodes"]), (FLOW, True, 2))
        self.assertFalse(self.answer("undo", workflow=FLOW)["changed"])

    def test_without_a_card_the_request_has_to_name_one(self):
        os.environ["EBB_PLAN_OPTIONS"] = ""
        with self.assertRaises(Refused) as refused:
            self.answer("plan", workflow=FLOW)
        self.assertEqual(refused.exception.told["code"], "no_card")
        self.assertNotIn("{", refused.exception.told["hint"])
        told = self.answer("plan", workflow=FLOW, options={"gpu": "rtx5090"})
        self.assertEqual(told["plan"]["machine"]["gpu"], "RTX 5090")


class Processes(Case):
    """What is planned can't hold a thread, ComfyUI's memory or the next plan."""

    def setUp(self):
        super().setUp()
        self.pool = processes.Pool(1, "test")
        self.addCleanup(lambda: getattr(self.pool.mine, "process", None) and self.pool._end())

    def plan(self, body, **more):
        return processes.told(*self.pool.answer("plan", body, circumstances.options_for, **more))

    def test_a_plan_that_is_late_is_ended_and_the_next_one_made(self):
        body = json.dumps({"workflow": FLOW}).encode()
        with mock.patch.object(circumstances, "options_for", side_effect=lambda *_: time.sleep(30)
                               if self.pool.mine.process.poll() is None else {}), \
                mock.patch.object(time, "sleep", lambda _: self.pool.mine.process.wait()):
            with self.assertRaises(Refused) as refused:
                self.plan(body, seconds=0.2)
        self.assertEqual((refused.exception.status, refused.exception.told["code"]),
                         (503, "stopped"))
        self.assertIn("more than 0.2 s", str(refused.exception))
        self.assertEqual(self.plan(body)["plan"]["verdict"], "offloads")

    def test_a_process_that_dies_is_an_error_and_the_next_plan_is_made(self):
        body = json.dumps({"workflow": FLOW}).encode()
        self.plan(body)

        def die(*_):
            self.pool.mine.process.kill()
            self.pool.mine.process.wait()
            return {}
        with mock.patch.object(circumstances, "options_for", side_effect=die):
            with self.assertRaises(Refused) as refused:
                self.plan(body)
        self.assertIn("process ended", str(refused.exception))
        self.assertEqual(self.plan(body)["plan"]["verdict"], "offloads")

    @unittest.skipUnless(sys.platform == "linux", "reads /proc")
    def test_it_stands_behind_comfyui_in_everything(self):
        self.plan(json.dumps({"workflow": FLOW}).encode())
        process = self.pool.mine.process.pid
        limits = pathlib.Path(f"/proc/{process}/limits").read_text()
        self.assertIn(str(processes.BYTES_MAX), next(
            each for each in limits.splitlines() if "address space" in each))
        self.assertEqual(pathlib.Path(f"/proc/{process}/oom_score_adj").read_text(), "1000\n")
        nice = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[16]
        self.assertGreaterEqual(int(nice), 10)

    def test_what_takes_too_much_memory_is_refused_and_the_next_plan_is_made(self):
        with mock.patch.object(processes, "BYTES_MAX", 256 << 20):
            with self.assertRaises(Refused) as refused:
                self.plan(b'{"workflow": {"nodes": [' + b'{"a":[1,2]},' * 1_300_000 + b"1]}}",
                          seconds=60)
        self.assertIn(refused.exception.told["code"], ("too_large", "stopped"))
        self.pool._end()  # it still has the small bound
        self.assertEqual(self.plan(json.dumps({"workflow": FLOW}).encode())["plan"]["verdict"],
                         "offloads")

    def test_a_process_ends_with_comfyui(self):
        code = ("import sys; sys.path[:0] = sys.argv[1:3]\n"
                "from comfyui import processes\n"
                "pool = processes.Pool(1, 'x')\n"
                "pool.answer('undo', b'{}', None)\n"
                "print(pool.mine.process.pid, flush=True)\n"
                "import os; os._exit(1)")
        done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(ROOT / "python")],
                              capture_output=True, text=True, check=False)
        for _ in range(100):
            if not pathlib.Path("/proc", done.stdout.strip(), "stat").exists():
                return
            time.sleep(0.1)
        self.fail("it is still there: " + done.stdout + done.stderr)


class History(Case):
    def test_it_is_bounded(self):
        plan = self.predicted()
        for number in range(history.RUNS_MAX + 5):
            history.predict(str(number), plan, [])
        self.assertEqual(len(history.runs()), history.RUNS_MAX)
        self.assertEqual(history.runs()[-1]["prompt_id"], str(history.RUNS_MAX + 4))

    def test_actual_is_summed_pass_by_pass(self):
        plan = self.predicted()
        history.predict("p", plan, [])
        nodes = history.runs()[0]["passes"][2]["nodes"]
        events = [{"kind": "step", "node": each, "seconds": 1.5, "ram_peak_bytes": number,
                   "vram_peak_bytes": {"cuda:0": 10 * number}} for number, each in enumerate(nodes)]
        status = {"status_str": "success", "messages": [
            ("execution_start", {"timestamp": 1000}), ("execution_cached", {"nodes": ["4"]}),
            ("execution_success", {"timestamp": 9500})]}
        self.now(server, "prompt_status", lambda prompt_id: status)
        watched = types.SimpleNamespace(events=events + [{"kind": "EbbCut", "text": "cut"}],
                                        open={}, report=None)
        history._close("p", watched)
        run = history.runs()[0]
        self.assertEqual((run["state"], run["actual"]["seconds"], run["actual"]["cached"]),
                         ("success", 8.5, ["4"]))
        last = len(nodes) - 1
        self.assertEqual(run["passes"][2]["actual"], {
            "seconds": 1.5 * len(nodes), "ram_peak_bytes": last, "vram_peak_bytes": 10 * last})
        self.assertIsNone(run["passes"][0]["actual"])


class Looking(Case):
    def test_nodes_are_seen_from_outside(self):
        """Nothing is registered in a run: its executor goes through its handlers meanwhile."""
        plan = self.predicted()
        history.predict("p", plan, [])
        looks = iter([["1"], ["1"], ["2"], [], None])
        busy = {"now": True}

        def running():
            nodes = next(looks)
            busy["now"] = nodes is not None
            return nodes or []
        self.now(progress, "prompt_in_progress", lambda: ("p", {"1": "LoaderA", "2": "B"}.get))
        self.now(server, "is_busy", lambda: busy["now"])
        self.now(progress, "running_nodes", running)
        self.now(server, "prompt_status", lambda prompt_id: {"status_str": "success"})
        self.now(devices, "peaks", lambda reset: {})
        self.now(progress, "watch", mock.MagicMock(side_effect=AssertionError))
        history._look_out()
        run = history.runs()[0]
        self.assertEqual(run["state"], "success")
        self.assertEqual([(each["node"], each["kind"]) for each in run["events"]], [("1", "load")])
        self.assertGreaterEqual(run["actual"]["ram_peak_bytes"], 1)


if __name__ == "__main__":
    unittest.main()
