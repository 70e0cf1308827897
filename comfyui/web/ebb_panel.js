// SPDX-License-Identifier: Apache-2.0
// The panel: the picture of the open workflow, memory now, and actual beside predicted.
import { comparison, meters } from "./ebb_tables.js";

const POLL_MS = 1000;
const TRIES_MAX = 3;  // answers for a graph that changed meanwhile
const SAID_MS = 2000;
const QUIET_MS = 600;  // without a change, before a changed graph is planned again

const STYLE = `
  :host { display: block; height: 100%; overflow: auto; color: var(--input-text, #ddd);
    background: var(--comfy-menu-bg, #222); font: 13px/1.45 system-ui, sans-serif; }
  #page { padding: 12px; display: flex; flex-direction: column; gap: 10px; }
  h2 { font-size: 14px; margin: 8px 0 0; } p { margin: 0; overflow-wrap: anywhere; }
  .row { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
  button, input { font: inherit; color: inherit; border-radius: 6px; padding: 5px 10px;
    border: 1px solid var(--border-color, #666); background: var(--comfy-input-bg, #333); }
  button { cursor: pointer; } button:hover { border-color: currentColor; }
  #page[aria-busy=true] button { opacity: .6; cursor: progress; }
  input { width: 9em; }
  :focus-visible { outline: 2px solid #56b4e9; outline-offset: 2px; }
  .muted { color: var(--descrip-text, #999); } .small { font-size: 12px; }
  .headline { font-weight: 650; border-left: 4px solid #888; padding-left: 8px; }
  .headline[data-verdict=fits] { border-color: #009e73; }
  .headline[data-verdict=tight] { border-color: #e6b84d; }
  .headline[data-verdict=offloads] { border-color: #e69f00; }
  .headline[data-verdict=spills], .headline[data-verdict=ram_short],
  .headline[data-verdict=may_run_out] { border-color: #d55e00; }
  .picture { overflow: auto; max-height: 60vh; border-radius: 6px; }
  table { border-collapse: collapse; width: 100%; font-size: 11.5px;
    font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: 3px 4px; border-top: 1px solid var(--border-color, #555);
    vertical-align: top; } th:first-child, td:first-child { text-align: left; }
  td { white-space: nowrap; } td b { display: block; font-weight: 650; }
  .bar { position: relative; height: 10px; border-radius: 5px; overflow: hidden;
    background: var(--comfy-input-bg, #333); border: 1px solid var(--border-color, #555); }
  .bar i, .bar u { position: absolute; inset: 0 auto 0 0; background: #0072b2; }
  .bar u { background: #e69f00; width: 2px; }
  .bar .others { background: #888; }
  #page[data-stale] .picture { opacity: .3; }
  [hidden] { display: none; }`;

const PAGE = `<section id="page" aria-label="Ebb">
  <div class="row">
    <button id="plan">Plan</button>
    <button id="apply">Apply to this graph</button>
    <button id="undo">Undo</button>
  </div>
  <label class="row small">Card <input id="card" placeholder="this machine" autocomplete="off"
    spellcheck="false" title="Plan for another card, for example rtx4070"></label>
  <p class="small muted" id="name" hidden></p>
  <div id="told" aria-live="polite">
    <p class="headline" id="headline" hidden></p>
    <p class="small" id="fix"></p>
    <p class="small" id="changes"></p>
  </div>
  <p id="wrong" role="alert"></p>
  <div class="picture" id="picture" hidden tabindex="0" role="region" aria-label="Timeline"></div>
  <div class="row"><button id="open" hidden>Open the picture</button></div>
  <h2>Now</h2><div id="now"></div>
  <h2>Last run</h2>
  <div id="last" class="small"><p class="muted">No planned prompt has run.</p></div>
</section>`;

/// Who carries the class of the theme: `<html>` from front end 1.44 on, `<body>` before.
const THEMED = [document.documentElement, document.body];

/// The picture in the theme of the page rather than that of the system.
function inTheme(svg) {
  const dark = THEMED.some((place) => place.classList.contains("dark-theme"));
  return svg.replace("@media (prefers-color-scheme: dark)", dark ? "@media all" : "@media not all");
}

/// What `apply` did, in words.
function putIn(done) {
  const rest = (kind, what = "words") => done.lines.filter((line) => line.kind === kind)
    .map((line) => line[what]).join(" ");
  if (!done.changed) {
    const why = rest("plan", "because") || "what would help is there already";
    return `Nothing to put in: ${why}.`;
  }
  const effect = rest("effect");
  return `Put in: ${done.changes.map((change) => change.words).join("; ")}. `
    + effect.charAt(0).toUpperCase() + effect.slice(1) + ".";
}

function takenOut({ nodes }) {
  return nodes ? `Taken out: ${nodes} ${nodes === 1 ? "node" : "nodes"}.`
    : "There is no node of Ebb's in this graph.";
}

export class Panel {
  /// `host`: ask, openPrompt, openGraph, showGraph, openWorkflow.
  constructor(host) {
    this.host = host;
    this.root = null;
    this.svg = "";
    this.peaks = {};
    this.running = this.lastRun = null;
    this.busy = this.pressed = false;
    this.saidAt = 0;
    this.shown = null;  // key of the workflow that the verdict is about
    this.graph = 0;  // counts the states of the graph; an answer for an earlier one is thrown away
  }

  /// The front end mounts anew whenever it likes, also while a graph is loaded: the page stays.
  mount(element) {
    clearInterval(this.timer);
    if (!this.root) this.build();
    element.style.height = "100%";
    element.replaceChildren(this.place);
    this.away = 0;
    this.timer = setInterval(() => this.refreshNow(), POLL_MS);
    this.refreshNow();
    this.graph += 1;
    this.working(() => this.plan());
  }

  unmount() {
    if (!this.place.isConnected) clearInterval(this.timer);  // else refreshNow stops it
  }

  build() {
    this.place = document.createElement("div");
    this.place.style.height = "100%";
    this.root = this.place.attachShadow({ mode: "open" });
    this.root.innerHTML = `<style>${STYLE}</style>${PAGE}`;
    this.on("plan", () => this.plan());
    this.on("apply", () => this.change("apply"));
    this.on("undo", () => this.change("undo"));
    this.on("open", () => this.openPicture());
    this.get("card").addEventListener("keydown", (event) => {
      event.stopPropagation();  // the canvas has shortcuts of single letters
      if (event.key === "Enter") this.get("plan").click();
    });
    const themes = new MutationObserver(() => this.draw());
    for (const place of THEMED) {
      themes.observe(place, { attributes: true, attributeFilter: ["class"] });
    }
  }

  get(id) { return this.root.getElementById(id); }

  on(id, work) {
    this.get(id).addEventListener("click", async () => {
      if (this.pressed) return;
      this.pressed = true;
      this.get("page").setAttribute("aria-busy", "true");
      await this.work;  // what the panel does by itself
      this.get("changes").textContent = "";
      await this.working(work);
      this.pressed = false;
    });
  }

  /// Nothing else is begun while something works. What goes wrong is shown, alone: a verdict
  /// beside it would be that of another graph.
  working(work) {
    if (!this.busy) this.work = this.showWork(work);
    return this.work;
  }

  async showWork(work) {
    const wrong = this.get("wrong");
    this.busy = true;
    this.get("page").setAttribute("aria-busy", "true");
    wrong.textContent = "";
    try {
      await work();
    } catch (error) {
      this.clear();
      wrong.textContent = [error.message ?? String(error), error.hint].filter(Boolean)
        .map((text) => (/[.!?]$/.test(text.trim()) ? text : `${text}.`)).join(" ");
    } finally {
      this.busy = false;
      this.get("page").setAttribute("aria-busy", "false");
    }
  }

  /// The graph is another one, or another workflow is open: what is shown is no longer true of it.
  changed() {
    this.graph += 1;
    if (!this.root) return;
    const other = this.shown !== this.host.openWorkflow().key;
    if (other) this.clear();
    // What a button did is true until the next change; its own may come in several parts.
    if (other || Date.now() > this.saidAt + SAID_MS) this.get("changes").textContent = "";
    this.get("page").toggleAttribute("data-stale", true);
    this.get("headline").hidden = this.get("fix").hidden = true;
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.planAgain(), QUIET_MS);
  }

  async planAgain() {
    if (!this.place.isConnected) return;  // planned when it is opened
    if (this.busy) this.soon = setTimeout(() => this.planAgain(), QUIET_MS);
    else await this.working(() => this.plan());
  }

  /// Takes the verdict and the picture away.
  clear() {
    this.svg = "";
    this.get("page").toggleAttribute("data-stale", false);
    for (const id of ["name", "headline", "fix", "picture", "open"]) this.get(id).hidden = true;
  }

  options() {
    const gpu = this.get("card").value.trim();
    return gpu ? { gpu } : {};
  }

  async plan() {
    for (let tries = 0; tries < TRIES_MAX; ++tries) {
      const graph = this.graph, workflow = this.host.openWorkflow();
      this.shown = workflow.key;
      const prompt = await this.host.openPrompt();
      if (Object.keys(prompt).length === 0) throw { message: "The graph is empty." };
      const answer = await this.host.ask("/ebb/plan", { prompt, options: this.options() });
      if (graph !== this.graph || workflow.key !== this.host.openWorkflow().key) continue;
      clearTimeout(this.soon);
      this.show(answer, workflow.name);
      return;
    }
  }

  show({ plan, fix, svg }, name) {
    this.get("page").toggleAttribute("data-stale", false);
    const headline = this.get("headline");
    headline.dataset.verdict = plan.verdict;
    headline.textContent = plan.headline;
    this.get("fix").textContent = fix?.sentence ?? "";
    this.get("name").textContent = name;
    this.get("name").hidden = !name;
    headline.hidden = this.get("fix").hidden = false;
    this.svg = svg;
    this.draw();
  }

  draw() {
    if (!this.svg) return;
    const parsed = new DOMParser().parseFromString(inTheme(this.svg), "image/svg+xml");
    const place = this.get("picture");
    const shadow = place.shadowRoot ?? place.attachShadow({ mode: "open" });
    shadow.replaceChildren(document.importNode(parsed.documentElement, true));
    place.hidden = this.get("open").hidden = false;
  }

  openPicture() {
    const url = URL.createObjectURL(new Blob([this.svg], { type: "image/svg+xml" }));
    window.open(url, "_blank");
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  /// `apply` puts the plan's nodes into the open graph, `undo` takes Ebb's nodes out.
  async change(what) {
    const workflow = this.host.openGraph();
    const options = what === "apply" ? this.options() : undefined;
    const done = await this.host.ask(`/ebb/${what}`, { workflow, options });
    if (done.changed) await this.host.showGraph(done.workflow);
    const text = what === "apply" ? putIn(done) : takenOut(done);
    await this.plan();
    this.saidAt = Date.now();
    this.get("changes").textContent = [text, ...(done.refused ?? []), ...done.notes].join(" ");
  }

  async refreshNow() {
    // A front end may mount it before it shows it, and take it away without a word.
    this.away = this.place.isConnected ? 0 : this.away + 1;
    if (this.away > 3) clearInterval(this.timer);
    if (this.away > 0 || this.asking) return;
    if (this.shown !== this.host.openWorkflow().key && !this.busy) this.changed();
    this.asking = true;
    const status = await this.host.ask("/ebb/status").catch(() => null);
    this.asking = false;
    if (!status) return;
    if (status.running && !this.running) this.peaks = {};
    if (this.lastRun !== status.last_run) this.refreshHistory();
    this.lastRun = status.last_run;
    this.running = status.running;
    this.get("now").replaceChildren(meters(status, this.peaks));
    for (const id of ["plan", "apply", "undo"]) {
      this.get(id).title = status.planning_off ? `Planning is off: ${status.planning_off}` : "";
    }
  }

  async refreshHistory() {
    const told = await this.host.ask("/ebb/history").catch(() => null);
    const last = told?.runs.filter((run) => run.actual).pop();
    if (last) this.get("last").replaceChildren(comparison(last));
  }
}
