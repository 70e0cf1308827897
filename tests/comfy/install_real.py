# SPDX-License-Identifier: Apache-2.0
"""The repository put into a real ComfyUI's custom_nodes as people do it: cloned, unpacked, by URL.

usage: install_real.py

For each checkout of EBB_COMFYUI_DIR, in a server of its own each: `git clone` into `ebb`; the zip
of a hosting site unpacked into `ebb-main (1)`; and what the Manager's "Install via Git URL" does
(a clone with submodules, its requirements if it names any, its install script if it has one) beside
a second copy. Nodes load, the front end's files are served under the addresses that the server
names, and one line says what planning needs.
"""
import asyncio
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import support
import two_pass
from nodes_real import Checks
from two_pass import node

NODES = {"UnloadModels", "EbbCut", "EbbBudget", "EbbReport"}


def git(*arguments, cwd=support.ROOT):
    return subprocess.run(["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True,
                          text=True).stdout


def repository(place):
    """A repository with the present files as its only commit, whatever is committed here."""
    made = pathlib.Path(place, "ebb.git-source")
    for name in git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if pathlib.Path(support.ROOT, name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(support.ROOT / name, made / name)
    git("init", "-q", cwd=made)
    git("add", "-A", cwd=made)
    git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "all",
        cwd=made)
    return made


def cloned(source, nodes):
    git("clone", "-q", source, nodes / "ebb")
    return ["ebb"]


def unpacked(source, nodes):
    git("archive", "--format=zip", "--prefix=ebb-main (1)/", "-o", nodes / "main.zip", "HEAD",
        cwd=source)
    shutil.unpack_archive(nodes / "main.zip", nodes)
    (nodes / "main.zip").unlink()
    return ["ebb-main (1)"]


def by_url(source, nodes):
    git("clone", "-q", "--recursive", source, nodes / "ebb-node-pack")
    new = nodes / "ebb-node-pack"
    if (new / "requirements.txt").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--dry-run", "-r",
                        new / "requirements.txt"], check=True)
    if (new / "install.py").exists():
        subprocess.run([sys.executable, new / "install.py"], cwd=new, check=True)
    shutil.copytree(support.ROOT / "comfyui", nodes / "z old copy [1]",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return ["ebb-node-pack", "z old copy [1]"]


async def install(checks, folder, source, way):
    import yarl

    name = way.__name__
    with tempfile.TemporaryDirectory(prefix="ebb-install-") as base:
        nodes = pathlib.Path(base, "custom_nodes")
        nodes.mkdir()
        folders = way(source, nodes)
        prompt = {"1": node("EmptyImage", width=8, height=8, batch_size=1, color=1),
                  "2": node("UnloadModels", anything=["1", 0]),
                  "3": node("PreviewImage", images=["2", 0])}
        async with two_pass.client(folder, base, packs=()) as client:
            checks.that(f"{name}: the nodes are there", NODES <= client.classes.keys())
            seen = await client.run(prompt)
            checks.that(f"{name}: and work", seen["error"] is None, seen)
            async with client.session.get(client.url + "/extensions") as answer:
                ours = [each for each in await answer.json() if each.endswith("/ebb.js")]
                alone = await client.session.get(client.url + "/extensions/ebb%20x/ebb.js")
            checks.that(f"{name}: and only under its own name", alone.status == 404, alone.status)
            checks.that(f"{name}: the front end's part is named once", len(ours) == 1, ours)
            for each in ours and [ours[0], ours[0].replace("ebb.js", "ebb_panel.js"),
                                  ours[0].replace("ebb.js", "docs/EbbCut.md")]:
                url = yarl.URL(client.url + each, encoded=True)  # as a browser sends it
                async with client.session.get(url) as answer:
                    checks.that(f"{name}: {each} is served", answer.status == 200, answer.status)
        log = two_pass.log_of(base)
        told = [line for line in log.splitlines() if "[Ebb]" in line]
        needs = [line for line in told if "planning is off" in line]
        checks.that(f"{name}: one line says what planning needs", len(needs) == 1
                    and (f'-m pip install "{nodes / folders[0]}"' in needs[0]
                         or len(folders) > 1), told)  # a copy of the pack alone has no planner
        second = [line for line in told if "this copy does nothing" in line]
        checks.that(f"{name}: a second copy says so once, and nothing else is said",
                    len(second) == len(folders) - 1
                    and all(folders[-1] in line and folders[0] in line for line in second)
                    and "another pack's node" not in log, told)
        failed = [line for line in log.splitlines() if "IMPORT FAILED" in line and base in line]
        checks.that(f"{name}: no import fails", not failed and not two_pass.tracebacks(log),
                    log[-3000:])


async def check(folder, source, _):
    checks = Checks()
    os.environ.update(PYTHONPATH="", EBB_LIBRARY="")
    for way in (cloned, unpacked, by_url):
        await install(checks, folder, source, way)
    print(f"ComfyUI {support.version_of(folder)}: {checks.count} checks of installing the "
          f"repository, {checks.failures} failures", flush=True)
    return checks.failures


def main():
    if os.environ.get("EBB_INSTALL_REAL") == "1":
        return 1 if asyncio.run(check(support.checkouts()[0], sys.argv[1], None)) else 0
    support.checkouts(), support.comfyui_python()
    if not (support.ROOT / ".git").exists() or shutil.which("git") is None:
        support.skip("this is no clone, or git is missing: there is nothing to install from")
    with tempfile.TemporaryDirectory(prefix="ebb-source-") as place:
        return two_pass.again_with_comfyui("EBB_INSTALL_REAL", __file__, [str(repository(place))])


if __name__ == "__main__":
    sys.exit(main())
