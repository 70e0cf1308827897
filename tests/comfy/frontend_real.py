# SPDX-License-Identifier: Apache-2.0
"""Patched workflows in ComfyUI's own front end: loaded, looked at, exported again.

usage: frontend_real.py EBB [SCREENSHOT_FOLDER]

For each checkout of EBB_COMFYUI_DIR a server is started on the CPU with a stand-in for Ebb's pack,
and its front end (EBB_FRONTEND_DIR: one static folder per checkout, `:` between them) is opened
by a
headless Chromium (EBB_BROWSER_PYTHON: a Python with playwright). Workflows of every format family
are patched with `ebb apply`. Of each: our nodes are there with both ends of their links, the page
warns of nothing that it did not warn of before, the prompt that the front end exports is the one of
`ebb convert`, and the server's own validation accepts it. Model files are empty files of the right
names, made in the server's own folder. The graphs of tests/comfy/graphs, and one of nodes whose
outputs take the type of their inputs, are loaded as they are: the page must export what
`ebb convert` does.
"""
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import server_real
import support

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = support.SHARED / "corpus"
GRAPHS = [
    support.ROOT / "examples/workflows/wan22_two_pass.json",
    CORPUS / "comfyanonymous+ComfyUI_examples/wan22__text_to_video_wan22_14B.json",
    CORPUS / "comfyanonymous+ComfyUI_examples/2_pass_txt2img__latent_upscale_different_prompt_"
             "model.png.workflow.json",
    CORPUS / "leonwooster+ComfyUI-Workflows/video_wan2_2_14B_i2v.json",
    CORPUS / "Ell10ttHar5h+comfyui_workflows/video_wan2_2_14B_fun_camera.json",
    CORPUS / "Comfy-Org+example_workflows/video__wan__2.2__wan_2_2_14B_t2v.mp4.workflow.json",
    CORPUS / "cubiq+ComfyUI_Workflows/basic__SDXL_advanced.json",
    CORPUS / "Comfy-Org+ComfyUI/tests__inference__graphs__default_graph_sdxl1_0.json",
    *sorted((support.ROOT / "tests/data/patch").glob("*.json")),
]
PLAIN = [*sorted((HERE / "graphs").glob("*.json")), support.ROOT / "tests/data/match_types.json"]
KINDS = {"unet_name": "diffusion_models", "ckpt_name": "checkpoints", "clip_name": "text_encoders",
         "vae_name": "vae", "lora_name": "loras", "clip_name1": "text_encoders",
         "clip_name2": "text_encoders"}


def server(folder, front_end, base, port):
    command = [os.environ["EBB_COMFYUI_PYTHON"], "main.py",
               *server_real.server_arguments(base, port), "--front-end-root", front_end]
    return server_real.running(command, folder, base)


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


async def started(url, process, base):
    for _ in range(server_real.START_SECONDS):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            return ask(url + "/object_info")
        await asyncio.sleep(1)
    sys.exit("the server did not start:\n" +
             pathlib.Path(base, "server.log").read_text(errors="replace")[-3000:])


def touch_models(base, prompt):
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if name in KINDS and isinstance(value, str):
                path = pathlib.Path(base, "models", KINDS[name], value)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            if name == "image" and isinstance(value, str):
                path = pathlib.Path(base, "input", value)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


LOAD = """async ([data, api]) => {
  const app = window.app || window.comfyAPI.app.app;
  if (api) await app.loadApiJson(data, 'test'); else await app.loadGraphData(data);
  await new Promise(r => setTimeout(r, 400));
  const all = [];
  const walk = graph => {
    for (const node of graph.nodes || graph._nodes) {
      all.push([graph, node]);
      if (node.subgraph) walk(node.subgraph);
    }
  };
  walk(app.graph);
  const link = (graph, id) => graph.links.get ? graph.links.get(id) : graph.links[id];
  const ours = all.filter(([, n]) => ['UnloadModels', 'EbbCut', 'EbbBudget'].includes(n.type));
  const nodes = ours.map(([graph, n]) => ({
    id: String(n.id), type: n.type, title: n.title, errors: !!n.has_errors,
    from: n.inputs[0].link != null && !!link(graph, n.inputs[0].link),
    to: (n.outputs[0].links || []).filter(id => {
      const l = link(graph, id);
      if (!l) return false;
      if (l.target_id == -20) return true;
      const t = graph.getNodeById(l.target_id);
      return t && t.inputs[l.target_slot] && t.inputs[l.target_slot].link == id;
    }).length}));
  let prompt = null, error = null;
  try { prompt = (await app.graphToPrompt()).output; } catch (e) { error = String(e); }
  const covered = ours.some(([graph, n]) => (graph.nodes || graph._nodes).some(o => o !== n &&
    !n.flags?.collapsed && !o.flags?.collapsed &&
    o.pos[0] < n.pos[0] + n.size[0] && n.pos[0] < o.pos[0] + o.size[0] &&
    o.pos[1] - 30 < n.pos[1] + n.size[1] && n.pos[1] - 30 < o.pos[1] + o.size[1]));
  if (ours.length) {
    const [graph, n] = ours[0];
    if (graph === app.graph) { app.canvas.centerOnNode(n); app.canvas.setDirty(true, true); }
  }
  return {nodes, prompt, error, covered};
}"""


def without_titles(prompt):
    return {key: {k: v for k, v in node.items() if k != "_meta"} for key, node in prompt.items()}


def differences(real, ours):
    real, ours = without_titles(real), json.loads(ours)
    ours = without_titles(ours)
    for key in sorted(real.keys() | ours.keys()):
        if real.get(key) != ours.get(key):
            yield f"node {key}: front end {real.get(key)}, Ebb {ours.get(key)}"


class Page:
    """One browser page; remembers what it complained about."""

    def __init__(self, page):
        self.page, self.complaints = page, []
        page.on("console", self.listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def listen(self, message):
        text = message.text
        about = "link" in text.lower() or "node" in text.lower()
        if message.type in ("warning", "error") and about:
            self.complaints.append(text[:300])

    async def load(self, data, api):
        self.complaints = []
        result = await self.page.evaluate(LOAD, [data, api])
        return result, sorted(set(self.complaints))


async def check(ebb, url, base, info, page, path, shots, version):
    patched = pathlib.Path(base, "patched.json")
    run = subprocess.run([ebb, "apply", str(path), "--with", "UnloadModels", "-o", str(patched),
                          "--force", "--json"], capture_output=True, text=True, check=True)
    changes = json.loads(run.stdout)["changes"]
    before, after = json.loads(path.read_text()), json.loads(patched.read_text())
    api = "nodes" not in after
    if {"prompt", "extra_data"} & after.keys():  # a POST body is for the server, not for the page
        after, before = after.get("prompt"), before.get("prompt")
    _, said_before = await page.load(before, api)
    result, said = await page.load(after, api)
    new = [text for text in said if text not in said_before and "Unload" not in text]
    found = []
    added = [c["node"] for c in changes if c["kind"] == "add"]
    if len(result["nodes"]) < len(added):
        found.append(f"{len(added)} nodes of ours were put in, {len(result['nodes'])} are there")
    for node in result["nodes"]:
        if not node["from"] or node["to"] != 1 or node["errors"]:
            found.append(f"wires: {node}")
    if result["covered"] and not api:
        found.append("our node covers another one")
    found += [f"the page says: {text}" for text in new]
    if result["error"]:
        found.append(result["error"])
    else:
        done = subprocess.run([ebb, "convert", str(patched), "--comfyui", version, "--object-info",
                               str(info)], capture_output=True, text=True, check=True)
        # An API prompt becomes a graph in the page; its links are what must be the same.
        if not api:
            found += list(differences(result["prompt"], done.stdout))[:3]
        prompt = json.loads(done.stdout)
        touch_models(base, prompt)
        await asyncio.sleep(1.1)  # lists of models are cached by the second
        answer = await asyncio.to_thread(ask, url + "/prompt", {"prompt": prompt})
        if "prompt_id" not in answer or answer.get("node_errors"):
            found.append(f"the server: {json.dumps(answer)[:600]}")
    if shots:
        await page.page.keyboard.press("Escape")
        await page.page.screenshot(path=str(pathlib.Path(shots, f"{version}_{path.stem[:50]}.png")))
    for line in found:
        print(f"{path.name}: {line[:700]}")
    return len(found)


async def check_plain(ebb, info, page, path, version):
    result, _ = await page.load(json.loads(path.read_text()), False)
    done = subprocess.run([ebb, "convert", str(path), "--comfyui", version, "--object-info",
                           str(info)], capture_output=True, text=True, check=True)
    found = [result["error"]] if result["error"] else list(
        differences(result["prompt"], done.stdout))
    for line in found[:5]:
        print(f"{path.name}: {line[:700]}")
    return len(found)


def classes_of(path):
    data = json.loads(path.read_text())
    if "nodes" not in data:
        data = data.get("prompt", data)
        return {node["class_type"] for node in data.values()}
    subgraphs = data.get("definitions", {}).get("subgraphs", [])
    nodes = data["nodes"] + [node for sub in subgraphs for node in sub["nodes"]]
    return ({node["type"] for node in nodes} - {sub["id"] for sub in subgraphs} -
            {"Reroute", "PrimitiveNode", "Note", "MarkdownNote"})


async def browse(ebb, folder, front_end, shots):
    from playwright.async_api import async_playwright

    version, failures, seen, left_out = support.version_of(folder), 0, 0, []
    port = server_real.free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        shutil.copytree(HERE / "standin_pack", pathlib.Path(base, "custom_nodes", "standin_pack"))
        settings = pathlib.Path(base, "user", "default", "comfy.settings.json")
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({
            "Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False,
            "Comfy.VersionCompatibility.DisableWarnings": True, "Comfy.EnableTooltips": False}))
        with server(folder, front_end, base, port) as process:
            classes = await started(url, process, base)
            info = pathlib.Path(base, "object_info.json")
            info.write_text(json.dumps(classes))
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=os.environ.get("EBB_CHROMIUM", "/usr/bin/chromium"),
                    args=["--no-sandbox"])
                page = Page(await browser.new_page(viewport={"width": 1600, "height": 1000}))
                await page.page.goto(url, timeout=120_000)
                await page.page.wait_for_function(
                    "() => { const a = window.app || window.comfyAPI?.app?.app;"
                    " return a && a.graph && a.vueAppReady !== false; }", timeout=120_000)
                await asyncio.sleep(3)
                for path in GRAPHS + PLAIN:
                    if not path.is_file() or classes_of(path) - classes.keys():
                        left_out.append(path.name)
                        continue
                    seen += 1
                    if path in PLAIN:
                        failures += await check_plain(ebb, info, page, path, version)
                    else:
                        failures += await check(ebb, url, base, info, page, path, shots, version)
                await browser.close()
    print(f"ComfyUI {version}, front end {pathlib.Path(front_end).parent.name}: {seen} "
          f"workflows loaded, {failures} findings" +
          (f"; left out (classes or file missing): {', '.join(left_out)}" if left_out else ""))
    return failures + (seen == 0)


def main(ebb, shots):
    folders = support.checkouts()
    support.comfyui_python()
    python = os.environ.get("EBB_BROWSER_PYTHON", "")
    front_ends = [x for x in os.environ.get("EBB_FRONTEND_DIR", "").split(":") if x]
    if not python or not front_ends:
        support.skip("EBB_BROWSER_PYTHON and EBB_FRONTEND_DIR name no browser and no front end "
                     "(see docs/testing.md)")
    if os.environ.get("EBB_FRONTEND_REAL") != "1":  # the same again, with the Python of playwright
        environment = dict(os.environ, EBB_FRONTEND_REAL="1")
        return subprocess.run([python, __file__, ebb, *([shots] if shots else [])], env=environment,
                              check=False).returncode
    return 1 if sum(asyncio.run(browse(ebb, folder, front_end, shots))
                    for folder, front_end in zip(folders, front_ends)) else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
