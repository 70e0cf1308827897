# SPDX-License-Identifier: Apache-2.0
"""Graphs that `ebb convert` turned into prompts run on a real ComfyUI server, as they are.

usage: convert_real.py EBB

Every graph of tests/comfy/graphs is converted twice: with Ebb's own table for the server's version,
and with the definitions that the server itself tells, asked by its address. Both prompts must be
equal, certain (--strict), accepted without node errors, and executed to the end. Three of them
sample generated models (tiny_models.py) through loaders, text encoder, KSampler and VAE decode. A
graph is left out where the version lacks one of its classes. Starts servers on the CPU and stops
them again.
"""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import server_real
import support

PROMPT_SECONDS = 240  # a text encoder and a VAE of real sizes, on a busy CPU
GRAPHS = pathlib.Path(__file__).parent / "graphs"


def classes_of(graph):
    """Classes that a server must have for a graph."""
    subgraphs = graph.get("definitions", {}).get("subgraphs", [])
    nodes = graph["nodes"] + [node for subgraph in subgraphs for node in subgraph["nodes"]]
    virtual = {"Reroute", "PrimitiveNode", "Note"} | {subgraph["id"] for subgraph in subgraphs}
    return {node["type"] for node in nodes} - virtual


def convert(ebb, path, *options):
    run = subprocess.run([ebb, "convert", str(path), "--strict", *options], capture_output=True,
                         text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{path.name} {options}: exit {run.returncode}\n{run.stderr}")
    return json.loads(run.stdout)


async def check(ebb, folder):
    import aiohttp

    version = support.version_of(folder)
    failures, run, left_out = 0, [], []
    port = server_real.free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        os.environ["XDG_CACHE_HOME"] = base  # where Ebb keeps what the server tells
        subprocess.run([sys.executable, str(pathlib.Path(__file__).parent / "tiny_models.py"),
                        folder, os.path.join(base, "models")], check=True)
        with server_real.server(folder, base, port) as process:
            async with aiohttp.ClientSession() as session:
                classes = await server_real.object_info(session, url, process, base)
                for path in sorted(GRAPHS.glob("*.json")):
                    missing = classes_of(json.loads(path.read_text())) - classes.keys()
                    if missing:
                        left_out.append(f"{path.stem} (no {', '.join(sorted(missing))})")
                        continue
                    prompt = convert(ebb, path, "--comfyui", version)
                    told = convert(ebb, path, "--comfyui", version, "--object-info", url)
                    ran = await asyncio.wait_for(server_real.executed(session, url, prompt),
                                                 PROMPT_SECONDS)
                    order = ran["order"]
                    outputs = {key for key, node in prompt.items()
                               if classes[node["class_type"]]["output_node"]}
                    run.append(path.stem)
                    if prompt != told or not outputs or not outputs <= set(order):
                        failures += 1
                        print(f"{path.name}: {prompt}\n  server's {told}\n  ran {order}")
    print(f"ComfyUI {version}: {len(run)} graphs converted and run, {failures} failures" +
          (f"; left out: {'; '.join(left_out)}" if left_out else ""))
    return failures


def main(ebb):
    folders = support.checkouts()
    python = support.comfyui_python()
    if os.environ.get("EBB_CONVERT_REAL") != "1":  # the same again, with ComfyUI's Python
        code = 0
        for folder in folders:
            environment = dict(os.environ, EBB_CONVERT_REAL="1", EBB_COMFYUI_DIR=folder)
            code |= subprocess.run([python, __file__, ebb], env=environment,
                                   check=False).returncode
        return code
    return 1 if asyncio.run(check(ebb, folders[0])) else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
