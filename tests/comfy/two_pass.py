# SPDX-License-Identifier: Apache-2.0
"""A Wan-shaped two-pass prompt, and a client that runs it on a server with Ebb's nodes."""
import asyncio
import contextlib
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import server_real
import support

HERE = pathlib.Path(__file__).parent
PACK = support.ROOT / "comfyui"


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def sampler(model, latent, first, seed, steps):
    half = steps // 2
    return node("KSamplerAdvanced", model=[model, 0], add_noise="enable" if first else "disable",
                noise_seed=seed, steps=steps, cfg=1.0, sampler_name="euler", scheduler="simple",
                positive=["6", 0], negative=["7", 0], latent_image=[latent, 0],
                start_at_step=0 if first else half, end_at_step=half if first else 10000,
                return_with_leftover_noise="enable" if first else "disable")


def two_pass(seed=1, text="a boat", lora=False, cut1=None, cut2=None, report=False, steps=4,
             size=64, length=5, model_sampling=True, decode=True):
    """The prompt. `cut1` sits between the passes, `cut2` after pass 2: nodes without input."""
    prompt = {"38": node("CLIPLoader", clip_name="clip_l.safetensors", type="sd3"),
              "6": node("CLIPTextEncode", clip=["38", 0], text=text),
              "7": node("CLIPTextEncode", clip=["38", 0], text="blurry"),
              "61": node("EmptyHunyuanLatentVideo", width=size, height=size, length=length,
                         batch_size=1)}
    models = {}
    for name, loader, lora_id, shift in (("high", "37", "83", "54"), ("low", "56", "85", "55")):
        prompt[loader] = node("UNETLoader", unet_name=f"wan_{name}.safetensors",
                              weight_dtype="default")
        model = loader
        if lora:
            prompt[lora_id] = node("LoraLoaderModelOnly", model=[model, 0],
                                   lora_name=f"wan_{name}_lora.safetensors", strength_model=0.7)
            model = lora_id
        if model_sampling:
            prompt[shift] = node("ModelSamplingSD3", model=[model, 0], shift=8.0)
            model = shift
        models[name] = model
    prompt["57"] = sampler(models["high"], "61", True, seed, steps)
    latent = "57"
    if cut1 is not None:
        prompt["80"] = {**cut1, "inputs": {"anything": ["57", 0], **cut1["inputs"]}}
        latent = "80"
    prompt["58"] = sampler(models["low"], latent, False, seed, steps)
    latent = "58"
    if cut2 is not None:
        prompt["81"] = {**cut2, "inputs": {"anything": ["58", 0], **cut2["inputs"]}}
        latent = "81"
    prompt["90"] = node("EbbTestLook", latent=[latent, 0], mark="end")
    if decode:
        prompt["39"] = node("VAELoader", vae_name="wan_vae.safetensors")
        prompt["8"] = node("VAEDecode", samples=["90", 0], vae=["39", 0])
        last = ["8", 0]
        if report:
            prompt["82"] = node("EbbReport", anything=last, save=True, filename_prefix="ebb/report")
            last = ["82", 0]
        prompt["28"] = node("PreviewImage", images=last)
    else:
        prompt["28"] = node("SaveLatent", samples=["90", 0], filename_prefix=f"out{seed}")
    return prompt


class Client:
    """Queues prompts and collects what the server says about them."""

    def __init__(self, session, url, classes):
        self.session, self.url, self.classes = session, url, classes

    async def run(self, prompt, interrupt_at=None, seconds=400):
        """What happened: order, cached ids, ui by node, error text, seconds. Interrupts at the
        first progress of node `interrupt_at`."""
        return await asyncio.wait_for(self._run(prompt, interrupt_at), seconds)

    async def _run(self, prompt, interrupt_at):
        seen = {"order": [], "cached": [], "ui": {}, "error": None}
        started = time.monotonic()
        async for event in server_real.events(self.session, self.url, prompt):
            data, kind = event["data"], event["type"]
            if kind == "progress" and data.get("node") == interrupt_at is not None:
                interrupt_at = None
                await self.session.post(self.url + "/interrupt", json={})
            if kind == "execution_error":
                seen["error"] = f"{data['node_type']}: {data['exception_message']}".strip()
            elif kind == "execution_interrupted":
                seen["error"] = "interrupted"
            elif kind == "execution_cached":
                seen["cached"] = data["nodes"]
            elif kind == "executed":
                seen["ui"][data["node"]] = data["output"] or {}
            elif kind == "executing" and data["node"] is not None:
                seen["order"] = [x for x in seen["order"] if x != data["node"]] + [data["node"]]
        seen["seconds"] = time.monotonic() - started
        return seen


@contextlib.asynccontextmanager
async def client(folder, base, options=(), packs=(PACK, HERE / "pack"), process_of=None):
    """A server in folder `base` (its models are there) with the packs linked in; stopped again."""
    import aiohttp

    nodes = pathlib.Path(base, "custom_nodes")
    nodes.mkdir(exist_ok=True)
    for pack in packs:
        name = "ebb" if pack == PACK else pack.name
        if not (nodes / name).exists():
            (nodes / name).symlink_to(pack)
    port = server_real.free_port()
    url = f"http://127.0.0.1:{port}"
    flags = " ".join(options)
    with server_real.server(folder, str(base), port, flags, custom_nodes=True) as process:
        if process_of is not None:
            process_of(process)
        async with aiohttp.ClientSession() as session:
            classes = await server_real.object_info(session, url, process, str(base))
            yield Client(session, url, classes)


def make_models(folder, models, *size):
    subprocess.run([sys.executable, str(HERE / "wan_models.py"), folder, str(models),
                    *[str(each) for each in size]], check=True)


def log_of(base):
    return pathlib.Path(base, "server.log").read_text(errors="replace")


def tracebacks(log):
    """Those of a log that name a pack; ComfyUI's own optional nodes leave some, too."""
    blocks = log.split("Traceback (most recent call last)")[1:]
    frames = ["".join(itertools.takewhile(lambda line: line.startswith((" ", ":", "\n")),
                                          block.splitlines(keepends=True))) for block in blocks]
    return [each for each in frames if "custom_nodes" in each or str(PACK) in each]


def again_with_comfyui(name, script, arguments):
    """Runs a test script once per checkout, with ComfyUI's Python; its exit code."""
    folders, python = support.checkouts(), support.comfyui_python()
    code = 0
    for folder in folders:
        environment = dict(os.environ, **{name: "1"}, EBB_COMFYUI_DIR=folder)
        code |= subprocess.run([python, script, *arguments], env=environment,
                               check=False).returncode
    return code


def run_checks(name, script, check, arguments):
    """The main of a test of the pack: `check` in ComfyUI's Python, for each checkout."""
    if os.environ.get(name) == "1":
        part = arguments[1] if len(arguments) > 1 else None
        return 1 if asyncio.run(check(support.checkouts()[0], arguments[0], part)) else 0
    support.checkouts(), support.comfyui_python()
    with tempfile.TemporaryDirectory(prefix="ebb-models-") as models:
        os.environ.setdefault("EBB_TEST_MODELS", models)
        return again_with_comfyui(name, script, arguments)
