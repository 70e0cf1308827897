# SPDX-License-Identifier: Apache-2.0
"""Ebb's RAM band against the memory of a real ComfyUI process, node by node.

usage: ram_real.py PRINT_TIMELINE [VERSION...]

Makes models of a few hundred MB (two Wan-shaped experts, a CLIP-L, a Wan VAE; all zeros), starts
each checkout of EBB_COMFYUI_DIR with --cpu, samples /proc/PID/smaps_rollup while a two-pass prompt
runs, and again after its seed was changed. What the process holds before the first prompt is
subtracted. Anonymous memory is compared with what Ebb says RAM must hold (`needed`), all of it with
Ebb's peak while a file is read, whose pages that counts. glibc is told to give freed blocks back at
once (MALLOC_MMAP_THRESHOLD_): otherwise it keeps what --cache-none frees, see docs/policy.md. Runs
itself with EBB_COMFYUI_PYTHON.
"""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import server_real
import support

TOLERANCE = 0.10
WORKSPACE_BYTES = 100_000_000  # kernels on the CPU use memory that Ebb's demand, of GPUs, lacks
FLAGS = ("--cpu", "--cpu --cache-none")
SAMPLE_SECONDS = 0.01
SHORT_SECONDS = 0.05  # in a step this short, what the step before held may still be on its way out
PROMPT_SECONDS = 600

# Sampling needs conditioning of a width that no small text encoder has.
WIDEN = '''
import torch

class EbbTestWiden:
    INPUT_TYPES = classmethod(lambda s: {"required": {"conditioning": ("CONDITIONING",)}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("CONDITIONING",), "run", "test"

    def run(self, conditioning):
        return ([[torch.zeros(1, 8, 4096), {}]],)

NODE_CLASS_MAPPINGS = {"EbbTestWiden": EbbTestWiden}
'''


# ---- models and prompt ---------------------------------------------------------------------

def make_models(folder, models):
    """Writes the models in a process of its own, since it imports ComfyUI."""
    sys.path.insert(0, folder)
    import comfy.cli_args
    comfy.cli_args.args.cpu = True
    import comfy.ldm.wan.model
    import comfy.ldm.wan.vae
    import comfy.ops
    import safetensors.torch
    import torch
    import transformers

    operations = comfy.ops.disable_weight_init
    wan = {"model_type": "t2v", "dim": 1024, "ffn_dim": 4096, "num_heads": 8, "freq_dim": 256,
           "in_dim": 16, "out_dim": 16, "text_dim": 4096, "operations": operations,
           "device": "meta", "dtype": torch.float16}
    clip = transformers.CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    with torch.device("meta"):
        text = transformers.CLIPTextModel(clip)
        vae = comfy.ldm.wan.vae.WanVAE(dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                                       attn_scales=[], temperal_downsample=[False, True, True])
    parts = {"diffusion_models/high": comfy.ldm.wan.model.WanModel(num_layers=12, **wan),
             "diffusion_models/low": comfy.ldm.wan.model.WanModel(num_layers=10, **wan),
             "text_encoders/clip": text, "vae/wan": vae}
    for name, module in parts.items():
        path = pathlib.Path(models, name + ".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: torch.zeros(value.shape, dtype=torch.float16)
                   for key, value in module.state_dict().items() if value.is_floating_point()}
        if "clip" in name:  # some versions of transformers leave the first name out
            tensors = {"text_model." + key.removeprefix("text_model."): value
                       for key, value in tensors.items()}
        safetensors.torch.save_file(tensors, path)


def prompt_of(seed):
    node = server_real.node
    sampler = {"noise_seed": seed, "steps": 2, "cfg": 1.0, "sampler_name": "euler",
               "scheduler": "simple", "positive": ["3", 0], "negative": ["3", 0]}
    return {
        "1": node("CLIPLoader", clip_name="clip.safetensors", type="stable_diffusion"),
        "2": node("CLIPTextEncode", text="a test", clip=["1", 0]),
        "3": node("EbbTestWiden", conditioning=["2", 0]),
        "4": node("EmptyHunyuanLatentVideo", width=64, height=64, length=1, batch_size=1),
        "5": node("UNETLoader", unet_name="high.safetensors", weight_dtype="default"),
        "6": node("KSamplerAdvanced", add_noise="enable", start_at_step=0, end_at_step=1,
                  return_with_leftover_noise="enable", **sampler, model=["5", 0],
                  latent_image=["4", 0]),
        "7": node("UNETLoader", unet_name="low.safetensors", weight_dtype="default"),
        "8": node("KSamplerAdvanced", add_noise="disable", start_at_step=1, end_at_step=10000,
                  return_with_leftover_noise="disable", **sampler, model=["7", 0],
                  latent_image=["6", 0]),
        "9": node("VAELoader", vae_name="wan.safetensors"),
        "10": node("VAEDecode", samples=["8", 0], vae=["9", 0]),
        "11": node("PreviewImage", images=["10", 0])}


# ---- measuring -----------------------------------------------------------------------------

def memory(pid):
    """(resident, anonymous) bytes."""
    fields = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file.read().splitlines()[1:]:
            name, value, *_ = line.split()
            fields[name] = int(value) * 1024
    return fields["Rss:"], fields["Anonymous:"]


class Sampler(threading.Thread):
    """Samples a process; time is the monotonic clock's."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.stop = pid, [], threading.Event()

    def run(self):
        while not self.stop.wait(SAMPLE_SECONDS):
            try:
                self.samples.append((time.monotonic(), *memory(self.pid)))
            except OSError:
                return

    def peak(self, begin, end):
        """The highest between two times, with the samples just before and after."""
        before = [x for x in self.samples if x[0] < begin][-1:]
        inside = [x for x in self.samples if begin <= x[0] <= end]
        after = [x for x in self.samples if x[0] > end][:1]
        taken = inside or before + after
        return [max(x[k] for x in taken) for k in (1, 2)]


async def timed(session, url, prompt):
    """[(node, begin, end)] of what the server executes."""
    client = uuid.uuid4().hex
    marks = []
    async with session.ws_connect(f"{url}/ws?clientId={client}") as socket_:
        async with session.post(url + "/prompt",
                                json={"prompt": prompt, "client_id": client}) as answer:
            reply = await answer.json()
            if answer.status != 200 or reply.get("node_errors"):
                raise SystemExit(f"the server refuses the prompt: {reply}")
        async for message in socket_:
            event = json.loads(message.data) if message.type.name == "TEXT" else {"type": ""}
            data = event.get("data", {})
            if event["type"] == "execution_error":
                raise SystemExit(f"{data['node_type']} failed: {data['exception_message']}")
            if event["type"] != "executing" or data.get("prompt_id") != reply["prompt_id"]:
                continue
            marks.append((data["node"], time.monotonic()))
            if data["node"] is None:
                break
    return [(node, begin, marks[i + 1][1]) for i, (node, begin) in enumerate(marks[:-1])]


async def measured(folder, base, flags, prompts):
    """Per prompt: [(node, seconds, resident, anonymous)], peaks beyond what was held at first."""
    import aiohttp

    port = server_real.free_port()
    url = f"http://127.0.0.1:{port}"
    results = []
    with server_real.server(folder, base, port, flags, custom_nodes=True) as process:
        async with aiohttp.ClientSession() as session:
            await server_real.object_info(session, url, process, base)
            await asyncio.sleep(3)
            sampler = Sampler(process.pid)
            idle = memory(process.pid)
            sampler.start()
            for prompt in prompts:
                steps = await asyncio.wait_for(timed(session, url, prompt), PROMPT_SECONDS)
                results.append([(node, end - begin,
                                 *(a - b for a, b in zip(sampler.peak(begin, end), idle)))
                                for node, begin, end in steps])
                await asyncio.sleep(1)
            sampler.stop.set()
    return results, idle


# ---- comparing -----------------------------------------------------------------------------

def predicted(print_timeline, base, version, flags, prompts):
    paths = []
    for i, prompt in enumerate(prompts):
        paths.append(os.path.join(base, f"prompt{i}.json"))
        pathlib.Path(paths[-1]).write_text(json.dumps(prompt), encoding="utf-8")
    results = []
    for second in ([], paths[1:]):
        run = subprocess.run([print_timeline, paths[0], os.path.join(base, "models"), version,
                              flags, *second], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise SystemExit(f"print_timeline: {run.stderr}")
        results.append([json.loads(line) for line in run.stdout.splitlines()])
    return results


def compare(print_timeline, folder, base, flags):
    version = support.version_of(folder)
    prompts = [prompt_of(1), prompt_of(2)]
    real, idle = asyncio.run(measured(folder, base, flags, prompts))
    mine = predicted(print_timeline, base, version, flags, prompts)
    failures, worst = 0, 0.0
    print(f"ComfyUI {version} {flags}: {idle[1] / 1e6:.0f} MB anonymous, {idle[0] / 1e6:.0f} MB "
          "in all before the first prompt\n  node               anonymous   Ebb    all   Ebb  (MB)")
    for number, (steps, band) in enumerate(zip(real, mine, strict=True)):
        if [x[0] for x in steps] != [x["id"] for x in band]:
            print(f"  prompt {number}: real {[x[0] for x in steps]}, Ebb {[x['id'] for x in band]}")
            failures += 1
            continue
        before = 0
        for (node, seconds, resident, anonymous), step in zip(steps, band, strict=True):
            needed = step["needed"]
            if seconds < SHORT_SECONDS and before > needed:
                needed = min(max(anonymous, needed), before)
            before = step["needed"]
            pairs = [(anonymous, needed)]
            if step["read"] > 0:  # elsewhere the system still has pages of files read before
                pairs.append((resident, step["peak"]))
            off = [abs(value - said) / max(said, idle[1]) for value, said in pairs]
            differs = any(abs(value - said) > max(TOLERANCE * said, WORKSPACE_BYTES)
                          for value, said in pairs)
            worst = max(worst, *off)
            failures += differs
            print(f"  {number + 1} {node:>3} {prompts[0][node]['class_type']:<18} "
                  f"{anonymous / 1e6:>5.0f} {step['needed'] / 1e6:>5.0f}  {resident / 1e6:>5.0f} "
                  f"{step['peak'] / 1e6:>5.0f}{'  differs' if differs else ''}")
    print(f"  worst {100 * worst:.1f} %, {failures} differences", flush=True)
    return failures


def main(arguments):
    folders = support.checkouts()
    python = support.comfyui_python()
    if os.environ.get("EBB_RAM_REAL") != "1":  # the same again, with ComfyUI's Python
        with tempfile.TemporaryDirectory(prefix="ebb-ram-") as base:
            environment = dict(os.environ, EBB_RAM_REAL="1", EBB_RAM_BASE=base,
                               OMP_NUM_THREADS="1")
            environment.setdefault("MALLOC_MMAP_THRESHOLD_", "65536")
            pack = pathlib.Path(base, "custom_nodes/ebb_test/__init__.py")
            pack.parent.mkdir(parents=True)
            pack.write_text(WIDEN, encoding="utf-8")
            subprocess.run([python, __file__, "--models", folders[0], f"{base}/models"],
                           env=environment, check=True)
            return subprocess.run([python, __file__, *arguments], env=environment,
                                  check=False).returncode
    if arguments[0] == "--models":
        make_models(*arguments[1:])
        return 0
    failures = 0
    for folder in folders:
        if len(arguments) > 1 and support.version_of(folder) not in arguments[1:]:
            continue
        for flags in FLAGS:
            failures += compare(arguments[0], folder, os.environ["EBB_RAM_BASE"], flags)
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
