# SPDX-License-Identifier: Apache-2.0
"""Ebb's order, and what a later prompt finds in the node cache, against a real ComfyUI server.

usage: server_real.py PRINT_ORDER [SEED]

Starts each checkout of EBB_COMFYUI_DIR on the CPU and a free port of the loopback interface, with a
folder of its own, once with each kind of node cache, queues small prompts that need no models,
listens to its messages `executing` and `execution_cached`, and always stops it again. Runs itself
with EBB_COMFYUI_PYTHON.
"""
import asyncio
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

import support

START_SECONDS, PROMPT_SECONDS = 600, 180
RANDOM_PROMPTS = 6
RANDOM_QUEUES = 3


# ---- prompts -------------------------------------------------------------------------------

def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def image(color, size=16):
    return node("EmptyImage", width=size, height=size, batch_size=1, color=color)


def fixed_prompts(color):
    """Diamonds, two outputs, nodes that are the same, a preview in the middle."""
    yield "diamond", {
        "1": image(color), "2": node("ImageInvert", image=["1", 0]),
        "3": node("ImageScale", image=["1", 0], upscale_method="nearest-exact", width=16, height=16,
                  crop="disabled"),
        "4": node("ImageBatch", image1=["2", 0], image2=["3", 0]),
        "5": node("PreviewImage", images=["4", 0]),
        "6": node("SaveImage", images=["2", 0], filename_prefix="ebb")}
    yield "latents", {
        "10": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "11": node("LatentUpscale", samples=["10", 0], upscale_method="bilinear", width=128,
                   height=128, crop="disabled"),
        "12": node("LatentUpscale", samples=["10", 0], upscale_method="area", width=128, height=128,
                   crop="disabled"),
        "13": node("LatentBatch", samples1=["12", 0], samples2=["11", 0]),
        "14": node("SaveLatent", samples=["13", 0], filename_prefix=f"latent{color}"),
        "2": node("SaveLatent", samples=["11", 0], filename_prefix=f"other{color}")}
    yield "same nodes", {
        "1": image(color + 1), "2": image(color + 1), "3": image(color + 2),
        "4": node("ImageInvert", image=["1", 0]), "5": node("ImageInvert", image=["2", 0]),
        "6": node("ImageBatch", image1=["4", 0], image2=["5", 0]),
        "7": node("ImageBatch", image1=["4", 0], image2=["4", 0]),
        "8": node("PreviewImage", images=["6", 0]), "9": node("PreviewImage", images=["7", 0]),
        "20": node("PreviewImage", images=["3", 0])}
    yield "masks", {
        "1": node("SolidMask", value=0.5, width=16, height=16),
        "2": node("MaskToImage", mask=["1", 0]), "3": image(color + 3),
        "4": node("ImageCompositeMasked", destination=["3", 0], source=["2", 0], x=0, y=0,
                  resize_source=False, mask=["1", 0]),
        "5": node("PreviewImage", images=["4", 0]), "6": node("PreviewImage", images=["2", 0])}


def switch_prompt(color):
    """Lazy inputs: only the branch that is switched on runs."""
    return "switch", {
        "1": image(color), "2": image(color + 1), "3": node("ImageInvert", image=["2", 0]),
        "4": node("ComfySwitchNode", switch=True, on_false=["1", 0], on_true=["3", 0]),
        "5": node("PreviewImage", images=["4", 0]), "6": node("PreviewImage", images=["2", 0])}


def random_prompt(rng, color):
    prompt = {"1": image(color), "2": image(color + rng.randint(0, 1))}
    while len(prompt) < 16:
        earlier = list(prompt)
        link = lambda: [rng.choice(earlier), 0]  # noqa: E731
        prompt[str(len(prompt) + 1)] = rng.choice([
            lambda: node("ImageInvert", image=link()),
            lambda: node("ImageCompositeMasked", destination=link(), source=link(), x=0, y=0,
                         resize_source=False),
            lambda: node("ImageFromBatch", image=link(), batch_index=0, length=1)])()
    earlier = list(prompt)
    for i in range(rng.randint(2, 4)):
        prompt[f"out{i}"] = node("PreviewImage", images=[rng.choice(earlier), 0])
    return prompt


def all_prompts(rng, classes):
    """Every prompt has its own colours, so that none finds another's results in the cache."""
    yield from fixed_prompts(1000)
    if "ComfySwitchNode" in classes:
        yield switch_prompt(2000)
    for i in range(RANDOM_PROMPTS):
        yield f"random {i}", random_prompt(rng, 10_000 + 10 * i)


def changed(prompt, rng):
    """The same prompt with another colour, place or count: what hangs on it runs again."""
    result = json.loads(json.dumps(prompt))
    names = [(node, name) for node, value in result.items() for name in value["inputs"]
             if name in ("color", "x")
             or (name == "batch_size" and value["class_type"] == "EmptyLatentImage")]
    node, name = rng.choice(names)
    result[node]["inputs"][name] += 1
    return result


def again(rng, color, twins):
    """Prompts that come back after others: the second and later ones find results."""
    firsts = [(name, prompt) for name, prompt in fixed_prompts(color)
              if twins or name != "same nodes"]
    if twins:
        firsts += [(f"random {i}", random_prompt(rng, color + 10 * i))
                   for i in range(RANDOM_QUEUES)]
    for name, prompt in firsts:
        other = changed(prompt, rng)
        for number, queued in enumerate([prompt, prompt, other, prompt, changed(other, rng)]):
            yield f"{name}, time {number}", queued


# ---- the server ----------------------------------------------------------------------------

def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def server_arguments(base, port):
    """What any server of a test is started with: loopback, a folder of its own."""
    return ["--cpu", "--listen", "127.0.0.1", "--port", str(port), "--base-directory", base,
            "--disable-auto-launch", "--database-url", "sqlite:///:memory:"]


@contextlib.contextmanager
def running(command, folder, base):
    """Starts a command in a process group of its own, and always stops it."""
    log = open(pathlib.Path(base, "server.log"), "wb")
    environment = dict(os.environ, OMP_NUM_THREADS="1")  # small models: waiting costs more
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
                               start_new_session=True, env=environment)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def server(folder, base, port, flags="", custom_nodes=False):
    command = [sys.executable, "main.py", *server_arguments(base, port), *flags.split()]
    if not custom_nodes:
        command.append("--disable-all-custom-nodes")
    return running(command, folder, base)


async def object_info(session, url, process, base):
    import aiohttp

    for _ in range(START_SECONDS):
        if process.poll() is not None:
            break
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(url + "/system_stats") as answer:
                if answer.status == 200:
                    async with session.get(url + "/object_info") as info:
                        return await info.json()
        await asyncio.sleep(1)
    raise SystemExit("the server did not start:\n" +
                     pathlib.Path(base, "server.log").read_text(errors="replace")[-3000:])


async def events(session, url, prompt):
    """The server's messages about a prompt, from its submission to its end."""
    client = uuid.uuid4().hex
    async with session.ws_connect(f"{url}/ws?clientId={client}") as socket_:
        body = {"prompt": prompt, "client_id": client}
        async with session.post(url + "/prompt", json=body) as answer:
            reply = await answer.json()
            if answer.status != 200 or reply.get("node_errors"):
                raise SystemExit(f"the server refuses the prompt: {reply}")
        async for message in socket_:
            if message.type.name != "TEXT":
                continue
            event = json.loads(message.data)
            if event.get("data", {}).get("prompt_id") == reply["prompt_id"]:
                yield event
                if event["type"] == "executing" and event["data"]["node"] is None:
                    return
    raise SystemExit("the server hung up")


async def executed(session, url, prompt):
    """Node ids in the order of the server's last `executing` messages, and those cached."""
    order, kept = [], []
    async for event in events(session, url, prompt):
        data = event["data"]
        if event["type"] == "execution_error":
            raise SystemExit(f"{data['node_type']} failed: {data['exception_message']}")
        if event["type"] == "execution_cached":
            kept = data["nodes"]
        if event["type"] == "executing" and data["node"] is not None:
            order = [x for x in order if x != data["node"]] + [data["node"]]
    return {"order": order, "kept": kept}


# ---- comparison ----------------------------------------------------------------------------

def outputs_as_the_server_takes_them(prompt, classes):
    """Sets of the same texts built alike in two processes of one hash seed have one order."""
    outputs, good = set(), set()
    for key, value in prompt.items():
        if classes[value["class_type"]]["output_node"]:
            outputs.add(key)
    for key in outputs:
        good.add(key)
    return list(good)


def ebb_runs(print_order, version, flags, prompts, classes):
    """All prompts of a server's life, one after another."""
    queue = [{"prompt": prompt, "outputs": outputs_as_the_server_takes_them(prompt, classes)}
             for _, prompt in prompts]
    used = {v["class_type"] for _, prompt in prompts for v in prompt.values()}
    free = 1 if flags.endswith("0.5") else 0  # GiB: beside the limit that the flags name
    job = {"id": None, "queue": queue, "version": version, "flags": flags, "ram_free_gib": free,
           "classes": {name: classes[name] for name in used}}
    run = subprocess.run([print_order], input=json.dumps(job) + "\n", capture_output=True,
                         text=True, check=True)
    answer = json.loads(run.stdout)
    return answer.get("runs", [answer] * len(queue))


def caches(version):
    yield from ("--cache-classic", "--cache-lru 12", "--cache-none")
    if version != "0.3.64":
        yield "--cache-ram"
    if tuple(map(int, version.split("."))) >= (0, 23, 0):
        yield from ("", "--cache-ram 0.5 0.5")  # the default, and results of earlier prompts kept


async def compare(print_order, folder, flags, seed):
    import aiohttp

    version = support.version_of(folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        with server(folder, base, port, flags) as process:
            async with aiohttp.ClientSession() as session:
                classes = await object_info(session, url, process, base)
                # 0.3.64 --cache-none takes a result away from the twin of the node that made it.
                twins = (version, flags) != ("0.3.64", "--cache-none")
                prompts = list(again(rng, 50_000, twins))
                if flags == "--cache-classic":
                    prompts = list(all_prompts(rng, classes)) + prompts
                real = [await asyncio.wait_for(executed(session, url, prompt), PROMPT_SECONDS)
                        for _, prompt in prompts]
    failures = 0
    mine = ebb_runs(print_order, version, flags, prompts, classes)
    for (name, prompt), run, theirs in zip(prompts, mine, real, strict=True):
        if any(run.get(key) != theirs[key] for key in ("order", "kept")):
            failures += 1
            print(f"{name}: {json.dumps(prompt)}\n  Ebb  {run}\n  real {theirs}")
    print(f"ComfyUI {version} {flags}: {len(prompts)} prompts, {sum(len(x['order']) for x in real)}"
          f" nodes executed, {sum(len(x['kept']) for x in real)} cached, {failures} differences "
          f"(seed {seed}, hash seed {os.environ['PYTHONHASHSEED']})", flush=True)
    return failures


def main(arguments):
    folders = support.checkouts()
    python = support.comfyui_python()
    if os.environ.get("EBB_SERVER_REAL") != "1":  # the same again, with ComfyUI's Python
        seed = arguments[1] if len(arguments) > 1 else str(random.SystemRandom().randrange(1 << 30))
        code = 0
        for number, folder in enumerate(folders):
            environment = dict(os.environ, EBB_SERVER_REAL="1", EBB_COMFYUI_DIR=folder,
                               PYTHONHASHSEED=str((int(seed) + number) % 1000))
            code |= subprocess.run([python, __file__, arguments[0], seed], env=environment,
                                   check=False).returncode
        return code
    failures = 0
    for flags in caches(support.version_of(folders[0])):
        failures += asyncio.run(compare(arguments[0], folders[0], flags, int(arguments[1])))
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
