// SPDX-License-Identifier: Apache-2.0
// Ebb in ComfyUI's front end: the setting, the messages, and the panel in the sidebar.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { Panel } from "./ebb_panel.js";

const MESSAGE_MS = 12000;
const SEVERITY = { offloads: "warn", tight: "info", spills: "warn", ram_short: "warn",
  may_run_out: "warn" };

/// Asks a route of Ebb; throws what is wrong as {message, hint}.
async function ask(path, body) {
  const answer = await api.fetchApi(path, body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => null);
  if (!told) throw { message: `${path} gives no answer (${answer.status}).`, hint: "" };
  if (told.error) throw told.error;
  return told;
}

/// The prompt of the open graph, as it would be queued.
async function openPrompt() {
  return (await app.graphToPrompt()).output;
}

function openGraph() {
  return (app.rootGraph ?? app.graph).serialize();
}

/// What the front end's own undo knows of the canvas now; older versions have another name for it.
function capture(tracker) {
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}

/// Puts a graph in place of the open one, in the same tab, as one step of ComfyUI's own undo.
async function showGraph(graph) {
  const workflow = app.extensionManager?.workflow?.activeWorkflow ?? null;
  const tracker = workflow?.changeTracker;
  capture(tracker);  // what the user changed before is a step of its own
  const { activeState, initialState } = tracker ?? {};
  await app.loadGraphData(graph, true, false, workflow);
  if (!activeState) return;
  Object.assign(tracker, { activeState, initialState });  // loading makes the new graph its start
  capture(tracker);
}

/// The open workflow: its name, and what tells it from others.
function openWorkflow() {
  const workflow = app.extensionManager?.workflow?.activeWorkflow;
  return { name: workflow?.filename ?? "", key: workflow?.key ?? workflow?.path ?? "" };
}

function say(severity, summary, detail) {
  app.extensionManager?.toast?.add({ severity, summary, detail, life: MESSAGE_MS });
}

/// A prompt was planned: say what it needs to know and was not told before.
function advise(advice) {
  const put = advice.applied.length ? `Put in: ${advice.applied.join("; ")}.` : "";
  const fix = advice.fix?.sentence ?? "";
  const known = advice.known_verdict ?? advice.verdict;  // trouble beside what is unknown counts
  const severity = SEVERITY[known] ?? "info";
  const worth = known in SEVERITY || advice.applied.length > 0;
  if (advice.news && worth) say(severity, `Ebb: ${advice.headline}`, [put, fix].join(" ").trim());
}

const panel = new Panel({ ask, openPrompt, openGraph, showGraph, openWorkflow });

app.registerExtension({
  name: "Ebb",
  settings: [{
    id: "Ebb.PlanEveryPrompt",
    name: "Plan every prompt",
    category: ["Ebb", "Automatic mode", "PlanEveryPrompt"],
    tooltip: "advise: say what a prompt will not fit into, and the cheapest fix. "
      + "apply: put the fixes that live in the workflow into the prompt before it runs.",
    type: "combo",
    options: ["off", "advise", "apply"],
    defaultValue: "advise",
  }],
  afterConfigureGraph() { panel.changed(); },  // another tab, a file, an undo
  setup() {
    api.addEventListener("graphChanged", () => panel.changed());
    api.addEventListener("ebb.advice", ({ detail }) => {
      advise(detail);
    });
    app.extensionManager?.registerSidebarTab?.({
      id: "ebb",
      icon: "pi pi-wave-pulse",
      title: "Ebb",
      tooltip: "Ebb: what this workflow holds in VRAM and RAM",
      type: "custom",
      render: (element) => panel.mount(element),
      destroy: () => panel.unmount(),
    });
  },
});
