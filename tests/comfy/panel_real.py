# SPDX-License-Identifier: Apache-2.0
"""Ebb's panel in ComfyUI's own front end: plan, apply, undo, run, compare.

usage: panel_real.py LIBRARY [SCREENSHOT_FOLDER]

For each checkout of EBB_COMFYUI_DIR a server on the CPU serves the front end of EBB_FRONTEND_DIR
(one static folder per checkout, `:` between them) to a headless Chromium (EBB_BROWSER_PYTHON: a
Python with playwright). Everything is done as a user would do it: clicks and keys.
"""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import frontend_real
import server_real
import support
import two_pass
from automatic_real import SHORT
from nodes_real import Checks

GRAPH = support.ROOT / "examples/workflows/wan22_two_pass.json"
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False,
            "Comfy.VersionCompatibility.DisableWarnings": True, "Comfy.InstalledVersion": "1.0.0",
            "Comfy.Workflow.ShowMissingNodesWarning": False}
READY = ("() => { const a = window.app || window.comfyAPI?.app?.app;"
         " return a && a.graph && a.extensionManager && a.vueAppReady !== false"
         " && (a.graph.nodes || a.graph._nodes).length > 0; }")  # its own graph is loaded late
APP = "const app = window.app || window.comfyAPI.app.app;"
NODES = APP + """ return (app.graph.nodes || app.graph._nodes).map(n => [n.type, n.id]);"""
GRAPH_NOW = APP + """ const g = app.graph.serialize();
  return {nodes: g.nodes.map(n => [n.id, n.type, n.inputs?.map(i => i.link), n.widgets_values]),
          links: g.links.map(l => Array.isArray(l) ? l : Object.values(l))};"""
TABS = APP + " return app.extensionManager.workflow?.openWorkflows?.length ?? 1;"


class View:
    """The page, and the panel in it (playwright looks into open shadow roots)."""

    def __init__(self, page, shots, version):
        self.page, self.shots, self.version, self.errors = page, shots, version, []
        page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        page.on("console", lambda message: self.errors.append(message.text)
                if message.type == "error" and "ebb" in message.text.lower() else None)

    async def js(self, body, argument=None):
        return await self.page.evaluate(f"async (argument) => {{ {body} }}", argument)

    async def text(self, selector):
        return (await self.page.locator(selector).inner_text()).strip()

    async def click(self, name):
        """A button of the panel; waits until its work is done."""
        button = self.page.get_by_role("button", name=name, exact=True).and_(
            self.page.locator("#page > .row button"))
        await button.click()
        await self.idle()

    async def idle(self):
        await self.page.locator("#page[aria-busy=false]").wait_for(timeout=60_000)

    async def shot(self, name):
        if self.shots:
            await self.page.screenshot(path=str(pathlib.Path(self.shots,
                                                             f"{self.version}_{name}.png")))


async def opened(view):
    """The example is loaded, and the panel open on it."""
    await view.js(APP + " await app.loadGraphData(argument);", json.loads(GRAPH.read_text()))
    if not await view.page.locator("#plan").is_visible():
        await view.page.locator(".ebb-tab-button").click()
        await view.page.locator("#plan").wait_for(timeout=30_000)
    await asyncio.sleep(1)
    await planned_again(view)


async def plan(checks, view):
    await opened(view)
    await view.idle()
    checks.that("an open panel plans by itself", "GiB RAM" in await view.text("#headline")
                or "RAM SHORT" in await view.text("#headline"), await view.text("#page"))
    await view.page.locator("#card").fill("no such card")
    await view.page.keyboard.press("Enter")
    await view.idle()
    checks.that("a card nobody knows is said", "no card called" in await view.text("#wrong"),
                await view.text("#wrong"))
    await view.page.locator("#card").fill("rtx4070")
    await view.page.keyboard.press("Enter")
    await view.idle()
    headline = await view.text("#headline")
    checks.that("planned for the card", await view.text("#wrong") == ""
                and headline.startswith(("OFFLOADS", "RAM SHORT")), headline)
    box = await view.page.locator("#picture svg").bounding_box()
    checks.that("the picture is there", box and box["width"] > 300 and box["height"] > 200, box)
    await view.shot("plan")


async def patch(checks, view):
    await view.page.locator("#card").fill("")  # that of EBB_PLAN_OPTIONS
    await view.click("Plan")
    checks.that("a way out is said", "--cache-none" in await view.text("#fix"))
    before, tabs = await view.js(GRAPH_NOW), await view.js(TABS)
    await view.click("Apply to this graph")
    types = [kind for kind, _ in await view.js(NODES)]
    checks.that("Apply puts nodes in", any(kind.startswith("Ebb") for kind in types)
                and "Put in:" in await view.text("#changes"), await view.text("#page"))
    checks.that("in the same tab", await view.js(TABS) == tabs)
    await view.shot("apply")
    again = await view.js(GRAPH_NOW)
    await view.click("Apply to this graph")
    checks.that("Apply twice changes nothing more", await view.js(GRAPH_NOW) == again
                and "Nothing to put in" in await view.text("#changes"), await view.text("#page"))
    await view.click("Undo")
    after = await view.js(GRAPH_NOW)
    checks.that("Undo takes them out", after["nodes"] and len(after["nodes"])
                == len(before["nodes"]) and "Taken out" in await view.text("#changes"),
                await view.text("#page"))
    wires = [sorted(json.dumps(link[1:]) for link in each["links"]) for each in (before, after)]
    checks.that("every link is where it was", wires[0] == wires[1], wires)
    values = [sorted(json.dumps([node[0], node[1], node[3]]) for node in each["nodes"])
              for each in (before, after)]
    checks.that("and every value", values[0] == values[1], values)
    await view.click("Undo")
    checks.that("nothing to undo is said", "no node of Ebb" in await view.text("#changes"),
                await view.text("#page"))


async def keyboard(checks, view):
    """Every control of the panel is reached by Tab, in order, and a key presses it."""
    await view.page.locator("#plan").focus()
    focused = "() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement)" \
              " e = e.shadowRoot.activeElement; return e?.id; }"
    seen = [await view.page.evaluate(focused)]
    for _ in range(20):
        await view.page.keyboard.press("Tab")
        seen.append(await view.page.evaluate(focused))
        if seen[-1] == "open":
            break
    order = [each for each in seen if each in ("plan", "apply", "undo", "card", "picture", "open")]
    checks.that("Tab goes through the panel", order == ["plan", "apply", "undo", "card", "picture",
                                                        "open"], seen)
    await view.page.locator("#card").fill("rtx5090")
    await view.page.locator("#plan").focus()
    await view.page.keyboard.press("Space")
    await view.idle()
    checks.that("a key plans", "RTX 5090" in await view.page.locator(
        "#picture svg desc").first.text_content(), await view.text("#headline"))


QUEUES = APP + """ const t = app.extensionManager.workflow.activeWorkflow.changeTracker;
  return [t.undoQueue.length, t.redoQueue.length];"""
EDIT = APP + """ const t = app.extensionManager.workflow.activeWorkflow.changeTracker;
  const n = app.graph._nodes.find(n => n.widgets?.some(w => w.name === 'noise_seed'));
  n.widgets.find(w => w.name === 'noise_seed').value = argument;
  (t.captureCanvasState ?? t.checkState).call(t);"""


async def planned_again(view):
    """Waits until the panel has answered the last change."""
    await view.page.locator("#page[aria-busy=false]:not([data-stale])").wait_for(timeout=60_000)


async def ctrl_z(checks, view):
    """Ctrl+Z takes back exactly Apply, and then the user's own last edit.

    Before anything is typed: the browser's own undo would take that back.
    """
    await opened(view)
    for seed in (77, 78):
        await view.js(EDIT, seed)
    before, queues = await view.js(GRAPH_NOW), await view.js(QUEUES)
    await planned_again(view)
    await view.click("Apply to this graph")
    checks.that("Apply is one step of the front end's undo",
                await view.js(QUEUES) == [queues[0] + 1, 0],
                (queues, await view.js(QUEUES), await view.text("#page")))
    await view.js(APP + " app.canvas.canvas.focus?.(); document.activeElement?.blur?.();")
    await view.page.keyboard.press("Control+z")
    await asyncio.sleep(1)
    after = await view.js(GRAPH_NOW)
    checks.that("Ctrl+Z takes Ebb's nodes out, and nothing else",
                sorted(map(json.dumps, after["nodes"])) == sorted(map(json.dumps, before["nodes"])),
                (before, after))
    await planned_again(view)
    checks.that("and the panel has planned what is there now",
                await view.page.locator("#headline").is_visible(), await view.text("#page"))
    await view.page.keyboard.press("Control+z")
    await asyncio.sleep(1)
    seeds = [values for _, _, _, values in (await view.js(GRAPH_NOW))["nodes"] if values]
    checks.that("the next one takes back the last edit", any(77 in values for values in seeds)
                and not any(78 in values for values in seeds), seeds)
    await planned_again(view)


async def stale(checks, view):
    """A verdict stands beside the graph that it is about, or not at all."""
    headline = view.page.locator("#headline")
    first = await view.text("#headline")
    name = await view.text("#name")
    await view.js(APP + " await app.loadGraphData(argument, true, true, 'another one');",
                  json.loads((two_pass.HERE / "graphs/images.json").read_text()))
    checks.that("another tab: the old verdict is gone at once", not await headline.is_visible()
                or await view.text("#headline") != first, await view.text("#page"))
    await view.page.locator("#name", has_text="another one").wait_for(timeout=60_000)
    await planned_again(view)
    checks.that("and what the last button did there is not told here",
                await view.text("#changes") == "", await view.text("#page"))
    checks.that("and the new one has the new name", "another one" in await view.text("#name")
                and await view.text("#headline") != first, (name, await view.text("#page"),
                await view.page.locator("#card").input_value()))
    await view.js(APP + " app.graph._nodes.forEach(n => { n.mode = 2; });")
    await view.click("Plan")
    checks.that("an error stands alone", await view.text("#wrong") != ""
                and not await headline.is_visible()
                and not await view.page.locator("#picture").is_visible(), await view.text("#page"))
    await view.js(APP + """ app.graph._nodes.forEach(n => { n.mode = 0; });
      const t = app.extensionManager.workflow.activeWorkflow.changeTracker;
      (t.captureCanvasState ?? t.checkState).call(t);""")
    await view.click("Plan")
    await planned_again(view)
    checks.that("and goes when the graph is whole again", await view.text("#wrong") == ""
                and await headline.is_visible(), await view.text("#page"))


async def background(view):
    return await view.page.evaluate(
        "() => { const all = [...document.querySelectorAll('*')].map(e => e.shadowRoot)"
        ".filter(Boolean); const root = all.find(r => r.getElementById('plan'));"
        " const svg = root.getElementById('picture').shadowRoot.querySelector('svg');"
        " return getComputedStyle(svg).getPropertyValue('--bg').trim(); }")


async def light(checks, view):
    checks.that("dark: a dark picture", await background(view) != "#ffffff", await background(view))
    await view.js(APP + " await app.extensionManager.setting.set('Comfy.ColorPalette', 'light');")
    await asyncio.sleep(1)
    colours = await view.page.evaluate(
        "() => { const all = [...document.querySelectorAll('*')].map(e => e.shadowRoot)"
        ".filter(Boolean); const root = all.find(r => r.getElementById('plan'));"
        " const svg = root.getElementById('picture').shadowRoot.querySelector('svg');"
        " return [getComputedStyle(root.host).backgroundColor, getComputedStyle(root.host).color,"
        " getComputedStyle(svg).getPropertyValue('--bg').trim()]; }")

    def brightness(text):
        return sum(float(x) for x in text[text.index("(") + 1:-1].split(",")[:3]) / 3
    checks.that("light: dark text on a light panel, and a light picture", brightness(colours[0])
                > brightness(colours[1]) + 100 and colours[2] == "#ffffff", colours)
    await view.shot("light")
    await view.js(APP + " await app.extensionManager.setting.set('Comfy.ColorPalette', 'dark');")
    await asyncio.sleep(1)
    checks.that("and dark again, without a new plan", await background(view) != "#ffffff")


async def run(checks, view):
    """A prompt is queued: the message, live memory, and actual beside predicted."""
    prompt = two_pass.two_pass(3, size=32, length=1)
    await view.page.locator("#card").fill("")
    await view.js(APP + " await app.loadApiJson(argument, 'two passes');", prompt)
    await view.click("Plan")
    await view.js(APP + " await app.queuePrompt(0);")
    toast = view.page.locator(".p-toast-message", has_text="Ebb: UNKNOWN")
    await toast.wait_for(timeout=60_000)
    await view.page.locator("#now", has_text="Running: node").wait_for(timeout=120_000)
    await view.page.locator("#last table").wait_for(timeout=240_000)
    last = await view.text("#last")
    await view.page.locator("#last").scroll_into_view_if_needed()
    await view.shot("run")
    rows = await view.page.locator("#last tr").all_inner_texts()
    sample = [row for row in rows if "sample" in row]
    checks.that("actual stands beside predicted", len(sample) == 2
                and all("s" in row.split("–")[0] for row in sample) and "MiB" in last, rows)
    checks.that("the graph on the canvas is what it was",
                not any(kind.startswith("Ebb") and "Test" not in kind
                        for kind, _ in await view.js(NODES)))


async def applied(checks, view):
    """The setting, chosen in the page, reaches the server; a patched prompt disturbs no page."""
    await view.js(APP + " await app.extensionManager.setting.set('Ebb.PlanEveryPrompt', 'apply');")
    before = await view.js(NODES)
    await view.js(APP + " await app.queuePrompt(0);")
    toast = view.page.locator(".p-toast-message", has_text="Put in: ")
    await toast.wait_for(timeout=60_000)
    await view.page.locator("#last", has_text="Put in: ").wait_for(timeout=240_000)
    checks.that("what was put in ran to its end", "It ended with" not in await view.text("#last"),
                await view.text("#last"))
    checks.that("and the graph on the canvas is what it was", await view.js(NODES) == before)
    await view.shot("applied")


async def reported(checks, view):
    """The report is on its node, its figure first."""
    await view.js(APP + " await app.extensionManager.setting.set('Ebb.PlanEveryPrompt', 'advise');")
    prompt = two_pass.two_pass(5, size=32, length=1, report=True,
                               cut1=two_pass.node("UnloadModels"))
    await view.js(APP + " await app.loadApiJson(argument, 'a report');", prompt)
    await view.js(APP + " await app.queuePrompt(0);")
    shown = APP + """ return app.graph._nodes.filter(n => ['EbbReport', 'UnloadModels'].includes(
      n.type)).map(n => (n.widgets ?? []).map(w => String(w.value)).join(' | '));"""
    texts = []
    for _ in range(240):
        texts = await view.js(shown)
        if len(texts) == 2 and all("RAM" in text for text in texts):
            break
        await asyncio.sleep(0.5)
    first = sorted(text.rsplit(" | ", 1)[-1].partition(":")[0].partition(";")[0] for text in texts)
    checks.that("report and cut show their lines, figures first", len(first) == 2
                and first[0].endswith("MiB RAM peak") != first[1].endswith("MiB RAM peak")
                and any(each.endswith("MiB RAM freed") for each in first), texts)
    await view.shot("report")


async def interrupted(checks, view):
    """What the user stops is no error."""
    await asyncio.sleep(2)
    prompt = two_pass.two_pass(4, size=128, length=9, steps=2000, decode=False)
    await view.js(APP + " await app.loadApiJson(argument, 'long');", prompt)
    await view.js(APP + " await app.queuePrompt(0);")
    await view.page.locator("#now", has_text="KSamplerAdvanced").wait_for(timeout=120_000)
    for _ in range(120):  # what ends before it is planned is not watched, so that nothing is told
        told = await view.js("return (await (await fetch('/ebb/history')).json()).runs;")
        if told[-1]["state"] == "running":
            break
        await asyncio.sleep(0.25)
    await view.js("await fetch('/interrupt', {method: 'POST'});")
    await view.page.locator("#last", has_text="It was interrupted.").wait_for(timeout=120_000)
    checks.that("an interrupt is called one", "error" not in await view.text("#last"),
                await view.text("#last"))


async def browse(checks, folder, front_end, shots, models):
    from playwright.async_api import async_playwright

    port = server_real.free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ebb-comfyui-") as base:
        nodes = pathlib.Path(base, "custom_nodes")
        nodes.mkdir()
        (nodes / "ebb").symlink_to(two_pass.PACK)
        (nodes / "tests").symlink_to(two_pass.HERE / "pack")
        pathlib.Path(base, "models").symlink_to(models)
        settings = pathlib.Path(base, "user", "default", "comfy.settings.json")
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        with frontend_real.server(folder, front_end, base, port) as process:
            await frontend_real.started(url, process, base)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=os.environ.get("EBB_CHROMIUM", "/usr/bin/chromium"),
                    args=["--no-sandbox"])
                page = await browser.new_page(viewport={"width": 1600, "height": 1000})
                view = View(page, shots, support.version_of(folder))
                await page.goto(url, timeout=120_000)
                await page.wait_for_function(READY, timeout=120_000)
                await asyncio.sleep(3)
                await page.keyboard.press("Escape")
                only = os.environ.get("EBB_PANEL_PARTS", "").split()
                for part in (ctrl_z, stale, plan, patch, keyboard, light, run, applied,
                             reported, interrupted):
                    if only and part.__name__ not in only:
                        continue
                    try:
                        await part(checks, view)
                    except Exception as error:
                        await view.shot(f"failed_{part.__name__}")
                        checks.that(part.__name__, False, f"{type(error).__name__}: {error}\n"
                                    + await page.locator("#page").evaluate("e => e.outerHTML"))
                checks.that("the browser complains of nothing of ours", not any(
                    "ebb" in error.lower() for error in view.errors), view.errors)
                await browser.close()
        if checks.failures:
            print(two_pass.log_of(base)[-6000:])
    print(f"ComfyUI {support.version_of(folder)}: {checks.count} checks of the panel, "
          f"{checks.failures} failures", flush=True)


def main(library, shots):
    folders, python = support.checkouts(), support.comfyui_python()
    browser = os.environ.get("EBB_BROWSER_PYTHON", "")
    front_ends = [x for x in os.environ.get("EBB_FRONTEND_DIR", "").split(":") if x]
    if not browser or not front_ends:
        support.skip("EBB_BROWSER_PYTHON and EBB_FRONTEND_DIR name no browser and no front end "
                     "(see docs/testing.md)")
    if os.environ.get("EBB_PANEL_REAL") == "1":
        failures = 0
        for folder, front_end in zip(folders, front_ends):
            checks = Checks()
            asyncio.run(browse(checks, folder, front_end, shots, os.environ["EBB_TEST_MODELS"]))
            failures += checks.failures
        return 1 if failures else 0
    with tempfile.TemporaryDirectory(prefix="ebb-models-") as models:
        models = os.environ.get("EBB_TEST_MODELS", models)
        subprocess.run([python, str(two_pass.HERE / "wan_models.py"), folders[0], models],
                       check=True)
        environment = dict(os.environ, EBB_PANEL_REAL="1", EBB_TEST_MODELS=models,
                           EBB_LIBRARY=library, PYTHONPATH=str(support.ROOT / "python"),
                           EBB_PLAN_OPTIONS=json.dumps(SHORT), PYTHONDONTWRITEBYTECODE="1")
        return subprocess.run([browser, __file__, library, *([shots] if shots else [])],
                              env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
