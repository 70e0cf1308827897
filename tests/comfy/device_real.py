# SPDX-License-Identifier: Apache-2.0
"""Ebb's nodes against the real memory manager and executor, on a GPU that is only simulated.

usage: device_real.py

ComfyUI's own `model_management`, `ModelPatcher`, node caches and `PromptExecutor` run in this
process. Simulated are the device's free memory (a total less the weights that the patchers count as
loaded) and tensors on it, which stay where they are. Once per checkout of EBB_COMFYUI_DIR.
"""
import importlib
import os
import sys
import tempfile
import types
import weakref

import support
import two_pass
from nodes_real import Checks

MIB = 1 << 20
WIDTH = 1024  # a Linear of 1024 x 1024 floats: 4 MiB
layers = 8  # of them; `tight` has more


class Device:
    """A card of so many bytes. Counts what the manager asks of it."""

    def __init__(self, manager, torch, total):
        self.manager, self.torch, self.total = manager, torch, total
        self.device = torch.device("cuda", 0)
        self.modules = weakref.WeakSet()
        self.emptied = 0

    def used(self):
        return sum(module.model_loaded_weight_memory for module in self.modules)

    def free(self, device=None, torch_free_too=False):
        if getattr(device, "type", "cuda") == "cpu":
            return (64 << 30, 64 << 30) if torch_free_too else 64 << 30
        free = self.total - self.used()
        return (free, 0) if torch_free_too else free

    def empty(self, force=False):
        assert not force
        self.emptied += 1

    def install(self):
        manager = self.manager
        manager.get_free_memory = self.free
        manager.soft_empty_cache = self.empty
        manager.get_torch_device = lambda: self.device
        manager.cpu_state = manager.CPUState.GPU
        manager.vram_state = manager.VRAMState.NORMAL_VRAM
        manager.EXTRA_RESERVED_VRAM = 0
        manager.minimum_inference_memory = lambda: 0
        manager.pin_memory = lambda tensor: False  # there is no driver to pin with
        manager.lora_compute_dtype = lambda device: self.torch.float32
        self.torch.cuda.synchronize = lambda *_: None
        self._keep_tensors_here()

    def _keep_tensors_here(self):
        torch = self.torch

        def here(value):
            return torch.device("cpu") if isinstance(value, torch.device) and \
                value.type == "cuda" else value

        for owner, name in ((torch.Tensor, "to"), (torch, "empty_like"), (torch, "empty")):
            def moved(*arguments, original=getattr(owner, name), **options):
                return original(*map(here, arguments),
                                **{key: here(value) for key, value in options.items()})
            setattr(owner, name, moved)


def model_class(torch, operations):
    class SimModel(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.device = torch.device("cpu")
            self.layers = torch.nn.ModuleList([operations.Linear(WIDTH, WIDTH, bias=False)
                                               for _ in range(layers)])
            for layer in self.layers:
                layer.weight.data.fill_(1.0)

        def get_dtype(self):
            return torch.float32

        def extra_conds_shapes(self, **_):
            return {}

        def memory_required(self, shape, cond_shapes={}):
            return shape[0] * shape[2] * shape[3] * shape[4] * 2 * 0.01 * 5120 / 2222 * MIB
    return SimModel


def node_classes(card, patcher_class, module_class):
    """A loader, a LoRA and a sampler that use the real manager the way ComfyUI's own nodes do."""
    torch, manager = card.torch, card.manager
    reads = []

    class SimLoader:
        RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "run", "sim"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"unet_name": ("STRING", {}), "kind": ("STRING", {})}}

        def run(self, unet_name, kind):
            reads.append(unet_name)
            module = module_class()
            kinds = {"plain": patcher_class, "gguf": GGUFModelPatcher, "stuck": patcher_class}
            offload = card.device if kind == "stuck" else torch.device("cpu")
            made = kinds.get(kind) or sys.modules["comfy.model_patcher"].ModelPatcherDynamic
            patcher = made(module, load_device=card.device, offload_device=offload)
            card.modules.add(module)
            return (patcher,)

    class GGUFModelPatcher(patcher_class):
        """Like city96's: a subclass that patches weights while it loads."""

        def load(self, *arguments, force_patch_weights=False, **options):
            super().load(*arguments, force_patch_weights=True, **options)

        def clone(self, *arguments, **options):
            clone = super().clone(*arguments, **options)
            clone.__class__ = type(self)
            return clone

    class SimLora:
        RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "run", "sim"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"model": ("MODEL",)}}

        def run(self, model):
            clone = model.clone()
            change = torch.full((WIDTH, WIDTH), 0.5)
            clone.add_patches({f"layers.{i}.weight": ("diff", (change,)) for i in range(layers)})
            return (clone,)

    class SimSampler:
        RETURN_TYPES, FUNCTION, CATEGORY = ("LATENT",), "run", "sim"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"model": ("MODEL",), "seed": ("INT", {}), "asks": ("INT", {}),
                                 "latent": ("LATENT",)}}

        def run(self, model, seed, asks, latent):
            manager.load_models_gpu([model], memory_required=2 * asks * MIB,
                                    minimum_memory_required=asks * MIB)
            seen.append({"loaded": model.loaded_size(), "free": card.free(),
                         "listed": len(manager.current_loaded_models)})
            total = sum(float(layer.weight[0, 0]) for layer in model.model.layers
                        if not getattr(layer, "weight_function", None))
            return ({"samples": latent["samples"] + seed, "total": total},)

    class SimDecode:
        RETURN_TYPES, FUNCTION, CATEGORY = ("LATENT",), "run", "sim"
        INPUT_TYPES = classmethod(lambda cls: {"required": {"latent": ("LATENT",)}})

        def run(self, latent):
            return (latent,)

    class SimOutput:
        RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "sim", True

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"latent": ("LATENT",)}}

        def run(self, latent):
            results.append(latent["samples"].clone())
            return {"ui": {}}

    seen, results = [], []
    classes = {each.__name__: each for each in (SimLoader, SimLora, SimSampler, SimDecode,
                                                SimOutput)}
    return classes, reads, seen, results


class FakeServer:
    """What PromptExecutor needs of a server; keeps the events."""

    def __init__(self):
        self.client_id, self.last_node_id, self.sent = "test", None, []
        self.last_prompt_id = None

    def send_sync(self, event, data, sid=None):
        self.sent.append((event, data))


class Bench:
    """One ComfyUI with a card; `run` executes a prompt and returns the ui of its nodes."""

    def __init__(self, total_mib):
        import torch
        import comfy.model_management as manager
        import comfy.model_patcher as patching
        import comfy.ops
        import execution
        import nodes

        self.manager, self.torch = manager, torch
        self.card = Device(manager, torch, total_mib * MIB)
        self.card.install()
        classes, self.reads, self.seen, self.results = node_classes(
            self.card, patching.ModelPatcher, model_class(torch, comfy.ops.manual_cast))
        nodes.NODE_CLASS_MAPPINGS.update(classes)
        ebb = importlib.import_module("comfyui")
        assert ebb.NODE_CLASS_MAPPINGS, "the pack did not load"
        nodes.NODE_CLASS_MAPPINGS.update(ebb.NODE_CLASS_MAPPINGS)
        self.server = FakeServer()
        options = {"cache_type": execution.CacheType.CLASSIC}
        if hasattr(execution.CacheType, "RAM_PRESSURE"):
            options["cache_args"] = {"lru": 0, "ram": 0, "ram_inactive": 0}  # the last from 0.25 on
        self.executor = execution.PromptExecutor(self.server, **options)

    def run(self, prompt):
        del self.server.sent[:], self.reads[:], self.seen[:]
        outputs = [key for key, value in prompt.items() if value["class_type"] == "SimOutput"]
        self.executor.execute(prompt, "test", {"client_id": "test"}, outputs)
        errors = [data for event, data in self.server.sent if event == "execution_error"]
        assert not errors, errors[0]["exception_message"] + "".join(errors[0]["traceback"])
        return {data["node"]: data["output"] for event, data in self.server.sent
                if event == "executed" and data["output"]}

    def idle(self):
        """Nothing of an earlier prompt is left: a prompt of another shape clears the cache."""
        self.run({"1": two_pass.node("EmptyLatentImage", width=64, height=64, batch_size=1),
                  "9": two_pass.node("SimOutput", latent=["1", 0])})
        assert not self.card.modules, list(self.card.modules)


def prompt(cut, seed=1, kind="plain", lora=False, asks=8, low="low"):
    made = {"1": two_pass.node("EmptyLatentImage", width=64, height=64, batch_size=1),
            "37": two_pass.node("SimLoader", unet_name="high.safetensors", kind=kind),
            "56": two_pass.node("SimLoader", unet_name=f"{low}.safetensors", kind=kind)}
    model = {"high": "37", "low": "56"}
    if lora:
        made["54"] = two_pass.node("SimLora", model=["37", 0])
        made["55"] = two_pass.node("SimLora", model=["56", 0])
        model = {"high": "54", "low": "55"}
    made["57"] = two_pass.node("SimSampler", model=[model["high"], 0], seed=seed, asks=asks,
                               latent=["1", 0])
    latent = "57"
    if cut:
        made["80"] = {**cut, "inputs": {"anything": ["57", 0], **cut["inputs"]}}
        latent = "80"
    made["58"] = two_pass.node("SimSampler", model=[model["low"], 0], seed=seed, asks=asks,
                               latent=[latent, 0])
    made["8"] = two_pass.node("SimDecode", latent=["58", 0])
    made["9"] = two_pass.node("SimOutput", latent=["8", 0])
    return made


# ---- checks ----------------------------------------------------------------------------------



def weights():
    return layers * WIDTH * WIDTH * 4


PARK = two_pass.node("EbbCut", models="pass_before", action="park", prefetch="nothing")
DROP = two_pass.node("EbbCut", models="pass_before", action="drop", prefetch="nothing")
ALL = two_pass.node("UnloadModels")


def event(ui, node_id="80"):
    return ui[node_id]["ebb"][0]


def roomy(checks, bench):
    """Both models fit: a cut frees VRAM at once, a kept one stays, latents are the same."""
    for kind in ("plain", "gguf"):
        for lora in (False, True):
            bench.run(prompt(None, 1, kind, lora))
            wanted = bench.results[-1]
            checks.that("stock keeps both on the card", bench.card.used() == 2 * weights(),
                        bench.card.used())
            bench.idle()
            for name, cut in (("park", PARK), ("drop", DROP), ("UnloadModels", ALL)):
                what = f"{kind}, lora {lora}, {name}"
                told = event(bench.run(prompt(cut, 1, kind, lora)))
                moved = told["parked"] if name == "park" else told["dropped"]
                checks.that(f"{what}: says HIGH left", [each["model"] for each in moved]
                            == ["high.safetensors"] and not told["warning"], told["text"])
                gain = told["after"]["vram_free_bytes"]["cuda:0"] - \
                    told["before"]["vram_free_bytes"]["cuda:0"]
                checks.that(f"{what}: its bytes are free on the card", gain == weights(), gain)
                checks.that(f"{what}: only LOW is on the card afterwards",
                            bench.card.used() == weights(), bench.card.used())
                checks.that(f"{what}: same result",
                            bench.torch.equal(bench.results[-1], wanted), bench.results[-1])
                alive = 2 if name == "park" else 1
                checks.that(f"{what}: {alive} models are in RAM", len(bench.card.modules) == alive,
                            list(bench.card.modules))
                bench.run(prompt(cut, 2, kind, lora))
                reads = [] if name == "park" else ["high.safetensors"]
                checks.that(f"{what}: a new seed reads {reads or 'nothing'}", bench.reads == reads,
                            bench.reads)
                bench.idle()
    checks.that("the device's cache was emptied", bench.card.emptied > 0)


def tight(checks, bench):
    """Room for one and a half: partial loads before and after a cut are what stock would do."""
    global layers
    layers = 48  # above the floor of 128 MiB that 0.3.64 has
    bench.card.total = int(weights() * 0.8) + 8 * MIB
    bench.run(prompt(None, 1, lora=True))
    stock = [dict(each) for each in bench.seen]
    checks.that("stock loads a part", 0 < stock[0]["loaded"] < weights(), stock)
    bench.idle()
    for name, cut in (("park", PARK), ("drop", DROP), ("UnloadModels", ALL)):
        told = event(bench.run(prompt(cut, 1, lora=True)))
        checks.that(f"{name}: a partly loaded model leaves the card whole",
                    told["after"]["vram_free_bytes"]["cuda:0"] == bench.card.total, told)
        checks.that(f"{name}: LOW gets as much as with stock",
                    bench.seen[1]["loaded"] == stock[1]["loaded"], (bench.seen, stock))
        bench.run(prompt(cut, 2, lora=True))
        bench.idle()
    layers = 8
    bench.card.total = 10 * weights()


def keeps(checks, bench):
    """A keep-list is kept: what the next pass uses stays on the card where it is."""
    bench.run(prompt(DROP, 1))  # LOW is loaded now
    loaded = bench.card.used()
    keep = two_pass.node("EbbCut", models="all_but_next", action="park", prefetch="nothing")
    told = event(bench.run(prompt(keep, 2)))
    checks.that("all_but_next parks HIGH", [each["model"] for each in told["parked"]]
                == ["high.safetensors"], told["text"])
    free = told["after"]["vram_free_bytes"]["cuda:0"]
    checks.that("and leaves LOW on the card", free == bench.card.total - loaded == bench.card.total
                - weights(), free)
    told = event(bench.run(prompt(ALL, 3)))
    checks.that("UnloadModels drops HIGH and parks LOW, which pass 2 needs",
                ([each["model"] for each in told["dropped"]],
                 [each["model"] for each in told["parked"]])
                == (["high.safetensors"], ["low.safetensors"]), told["text"])
    checks.that("so the card is empty", told["after"]["vram_free_bytes"]["cuda:0"]
                == bench.card.total, told["after"])
    bench.idle()
    told = event(bench.run(prompt(PARK, 4, kind="stuck")))
    checks.that("a model whose place outside use is the card can't be parked, and it says so",
                told["warning"] and "--highvram" in told["text"], told["text"])
    told = event(bench.run(prompt(DROP, 5, kind="stuck")))
    checks.that("but dropped", [each["model"] for each in told["dropped"]] == ["high.safetensors"],
                told["text"])
    bench.idle()
    shared = prompt(ALL, 6)
    shared["58"]["inputs"]["model"] = ["37", 0]
    told = event(bench.run(shared))
    checks.that("a model that both passes use is parked, not dropped",
                [each["model"] for each in told["parked"]] == ["high.safetensors"]
                and not told["dropped"], told["text"])
    bench.idle()


class Pages:
    """Stands in for the paged memory of a device: every page that is asked for is there."""

    def __init__(self, size, index):
        self.bytes = 0

    def alloc(self, size):
        self.bytes += size
        return self, self.bytes - size, size

    def loaded_size(self):
        return self.bytes

    def free_memory(self, size):
        freed, self.bytes = self.bytes, 0
        return freed

    def prioritize(self):
        pass


class Pinned:
    """Stands in for page-locked RAM (from 0.25 on): nothing is ever put into it."""

    def __init__(self, size, *_, **__):
        self.size = size


def dynamic(checks, bench):
    """Paged weights: pages are given back without a detach, and the model stays listed."""
    import comfy.model_patcher as patching

    if not hasattr(patching, "ModelPatcherDynamic"):
        return
    calls = []
    pages = types.SimpleNamespace(ModelVBAR=Pages, vbars_analyze=lambda *_: 0)
    patching.comfy_aimdo_model_vbar = pages
    patching.comfy_aimdo = types.SimpleNamespace(
        model_vbar=pages, host_buffer=types.SimpleNamespace(HostBuffer=Pinned))
    kind = patching.ModelPatcherDynamic
    unload, detach = kind.partially_unload, kind.detach
    kind.partially_unload = lambda self, *a, **k: calls.append("pages") or unload(self, *a, **k)
    kind.detach = lambda self, unpatch_all=True: (calls.append("detach") if unpatch_all else None,
                                                  detach(self, unpatch_all))[1]
    told = event(bench.run(prompt(PARK, 1, kind="dynamic")))
    checks.that("dynamic: pages are given back without a full detach",
                "pages" in calls and "detach" not in calls and
                [each["model"] for each in told["parked"]] == ["high.safetensors"],
                (calls, told["text"]))
    told = event(bench.run(prompt(DROP, 2, kind="dynamic")))
    checks.that("dynamic: dropped", [each["model"] for each in told["dropped"]]
                == ["high.safetensors"] and "detach" not in calls, (calls, told["text"]))
    kind.partially_unload, kind.detach = unload, detach
    bench.idle()


def budget(checks, bench):
    """What the sampler's own preparation asks of the manager is the budget, never below live."""
    import comfy.sampler_helpers as helpers
    from comfyui import budget as rule
    from comfyui import nodes as ours
    from comfyui.host import about

    module = model_class(bench.torch, sys.modules["comfy.ops"].manual_cast)()
    config = {"image_model": "wan2.1", "dim": 5120, "model_type": "t2v"}
    module.model_config = types.SimpleNamespace(unet_config=config)
    patcher = sys.modules["comfy.model_patcher"].ModelPatcher(
        module, load_device=bench.card.device, offload_device=bench.torch.device("cpu"))
    shape = [1, 16, 21, 152, 104]  # 832x1216, 81 frames
    asked, real = [], bench.manager.load_models_gpu
    bench.manager.load_models_gpu = lambda models, **given: asked.append(
        (given["memory_required"], given["minimum_memory_required"]))
    live, reserved, most = rule.live_bytes(config, shape, about.version())
    estimate = module.memory_required(shape)
    wanted = {0.0: max(reserved, most), 1.0: live, 12.0: 12 << 30, 20.0: 20 << 30}
    for given, minimum in {None: estimate, **wanted}.items():
        model = patcher if given is None else \
            ours.EbbBudget().run(patcher, given)["result"][0].clone()  # a LoRA clones it again
        options = model.model_options
        helpers.prepare_model_patcher(model, {"positive": []}, options)
        helpers.prepare_sampling(model, shape, {"positive": []}, model_options=options)
        checks.that(f"budget {given}: the manager is asked for {minimum / MIB:,.0f} MiB",
                    abs(asked[-1][1] - minimum) < MIB
                    and abs(asked[-1][0] - 2 * minimum) < 2 * MIB,
                    (asked[-1], minimum))
    checks.that("the model itself is as it was", module.memory_required(shape) == estimate)
    bench.manager.load_models_gpu = real


def card(checks, bench):
    """What a plan is made for: the card, with what ComfyUI itself loaded counted as free."""
    devices = importlib.import_module("comfyui.host.devices")
    bench.manager.get_total_memory = lambda device, **_: bench.card.total
    bench.torch.cuda.get_device_name = lambda device: "NVIDIA GeForce RTX 4090"
    bench.run(prompt(None, seed=70))
    held = bench.card.used()
    found, why = devices.card()
    checks.that("a card is what its models leave, and those models", held > 0 and found == {
        "gpu": "NVIDIA GeForce RTX 4090", "vram": bench.card.total,
        "vram_free": bench.card.total}, (found, why, held))
    now, = devices.now()
    checks.that("its memory now is less by them",
                now["total_bytes"] - now["free_bytes"] == held, (now, held))


def unknown(checks, bench):
    """A manager that lacks a part: the value passes through, and the line says what is off."""
    kept = bench.manager.free_memory
    del bench.manager.free_memory
    told = event(bench.run({
        "1": two_pass.node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "80": two_pass.node("UnloadModels", anything=["1", 0]),
        "9": two_pass.node("SimOutput", latent=["80", 0])}))
    checks.that("without free_memory a cut still passes the value on", not told["dropped"], told)
    bench.manager.free_memory = kept


def check(base):
    folder = support.checkouts()[0]
    sys.path[:0] = [folder, str(support.ROOT)]
    sys.argv = ["main.py", "--cpu", "--base-directory", base]  # nodes make folders of their own
    import comfy.options
    comfy.options.enable_args_parsing()
    import nodes  # noqa: F401  (imports the manager while it is on the CPU)

    checks = Checks()
    bench = Bench(10 * weights() // MIB)
    for part in (roomy, tight, keeps, dynamic, budget, card, unknown):
        part(checks, bench)
    print(f"ComfyUI {support.version_of(folder)}: {checks.count} checks on a simulated device, "
          f"{checks.failures} failures")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    if os.environ.get("EBB_DEVICE_REAL") == "1":
        with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as place:
            sys.exit(check(place))
    sys.exit(two_pass.again_with_comfyui("EBB_DEVICE_REAL", __file__, []))
