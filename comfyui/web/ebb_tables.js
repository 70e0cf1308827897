// SPDX-License-Identifier: Apache-2.0
// Memory as bars, and a run's predicted and actual figures as a table.

const GIB = 2 ** 30, MIB = 2 ** 20;
const WORK = { encode_text: "encode text", encode_vision: "encode vision",
  encode_image: "encode image" };

function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function bytes(size) {
  if (size == null) return "?";
  const whole = Math.abs(size) < 10 * GIB;
  return whole ? `${Math.round(size / MIB).toLocaleString("en")} MiB`
    : `${(size / GIB).toFixed(1)} GiB`;
}

function seconds(value) {
  if (value == null) return "?";
  return value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value).toLocaleString("en")} s`;
}

/// One bar: ours, what others hold, and the highest value since the run began.
function meter(name, ours, used, total, peaks) {
  peaks[name] = Math.max(peaks[name] ?? 0, used);
  const percent = (value) => `${Math.min(100, Math.max(0, 100 * value / total))}%`;
  const text = `${name}: ${bytes(ours)} ComfyUI, ${bytes(total - used)} of ${bytes(total)} free, `
    + `at most ${bytes(peaks[name])} in use`;
  const place = make("div");
  place.append(make("p", text, { class: "small" }));
  const bar = make("div", "", { class: "bar", role: "meter", "aria-label": name, "aria-valuemin": 0,
    "aria-valuemax": total, "aria-valuenow": used, "aria-valuetext": text });
  const others = make("i", "", { class: "others" }), mine = make("i"), peak = make("u");
  others.style.width = percent(used);
  mine.style.width = percent(Math.min(ours, used));
  peak.style.left = `calc(${percent(peaks[name])} - 2px)`;
  bar.append(others, mine, peak);
  place.append(bar);
  return place;
}

/// What a status says of memory and of the run; `peaks` is kept from call to call.
export function meters(status, peaks) {
  const place = document.createDocumentFragment();
  const { ram, devices, running } = status;
  if (running) {
    const nodes = running.nodes.map((node) => `node ${node.id} ${node.class}`).join(", ");
    place.append(make("p", `Running: ${nodes || "between nodes"}`));
  } else {
    place.append(make("p", "Nothing runs.", { class: "muted" }));
  }
  for (const device of devices) {
    place.append(meter(`VRAM ${device.name}`, device.allocated_bytes ?? 0,
      device.total_bytes - device.free_bytes, device.total_bytes, peaks));
  }
  if (devices.length === 0) place.append(make("p", "No VRAM: ComfyUI runs on the CPU.",
    { class: "small muted" }));
  if (ram.total_bytes && ram.available_bytes != null) {
    const used = Math.max(ram.total_bytes - ram.available_bytes, ram.process_bytes ?? 0);
    place.append(meter("RAM", ram.process_bytes ?? 0, used, ram.total_bytes, peaks));
  }
  return place;
}

function less(value, part) {
  return value == null || part == null ? null : Math.max(0, value - part);
}

function cell(predicted, actual, text) {
  const place = make("td", text(predicted));
  place.append(make("b", actual == null ? "–" : text(actual)));
  return place;
}

function line(run, name, predicted, actual) {
  const row = make("tr");
  row.append(make("th", name, { scope: "row" }));
  row.append(cell(predicted.seconds, actual?.seconds, seconds));
  row.append(cell(less(predicted.vram_peak_bytes, run.others.vram_bytes),
    actual?.vram_peak_bytes, bytes));
  row.append(cell(less(predicted.ram_peak_bytes, run.others.ram_bytes),
    less(actual?.ram_peak_bytes, run.ram_idle_bytes), bytes));
  return row;
}

/// Predicted above actual (bold), pass by pass; memory is what the models and the work add.
export function comparison(run) {
  const place = document.createDocumentFragment();
  place.append(make("p", `${run.predicted.headline} (predicted for ${run.gpu || "this card"})`));
  if (run.applied.length) place.append(make("p", `Put in: ${run.applied.join("; ")}.`));
  const table = make("table");
  table.append(make("caption", "Predicted, and below it actual: what ComfyUI held beyond itself.",
    { class: "muted" }));
  const head = make("tr");
  for (const name of ["Pass", "Time", "VRAM", "RAM"]) {
    head.append(make("th", name, { scope: "col" }));
  }
  table.append(head);
  for (const each of run.passes) {
    table.append(line(run, `${each.index} ${WORK[each.work] ?? each.work}`, each, each.actual));
  }
  table.append(line(run, "All", run.predicted, run.actual));
  place.append(table);
  if (run.state === "interrupted") place.append(make("p", "It was interrupted."));
  else if (run.state !== "success") place.append(make("p", `It ended with: ${run.state}.`));
  if (run.actual.cached.length) {
    place.append(make("p", `${run.actual.cached.length} nodes came from the cache.`));
  }
  return place;
}
