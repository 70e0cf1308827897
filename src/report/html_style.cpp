// SPDX-License-Identifier: Apache-2.0
// How the page looks: system fonts, restrained colours, one column that reads on a phone.
#include "report/html_style.h"

namespace ebb {

const char* page_css() {
  return R"css(
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--bg); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 24px 64px; }
header { margin-bottom: 28px; }
h1 { font-size: clamp(21px, 3.4vw, 31px); line-height: 1.22; font-weight: 680; margin: 0 0 14px;
  letter-spacing: -.012em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 17px; font-weight: 650; margin: 44px 0 10px; letter-spacing: -.005em; }
.word { letter-spacing: .01em; }
.t-fits { color: var(--fits); } .t-tight { color: var(--tight); }
.t-offloads { color: var(--offloads); }
.t-spills, .t-ram_short, .t-may_run_out { color: var(--bad); } .t-unknown { color: var(--muted); }
.lead { margin: 0 0 3px; max-width: 84ch; overflow-wrap: anywhere; }
.about { color: var(--muted); font-size: 13.5px; margin: 16px 0 0; overflow-wrap: anywhere; }
figure { margin: 0; overflow-x: auto; }
.narrow { display: none; }
.panel { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; margin-top: 6px;
  font-size: 13px; position: sticky; bottom: 8px; background: var(--bg); z-index: 1;
  max-height: 42vh; overflow: auto; box-shadow: 0 2px 14px rgb(0 0 0 / .14); }
.panel dl { grid-template-columns: auto 1fr auto 1fr; }
.panel:empty { display: none; }
.panel h3, .card h3 { margin: 0 0 4px; font-size: 14.5px; font-weight: 650; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: 12.5px;
  border-bottom: 1.5px solid var(--line); padding: 5px 14px 5px 0; vertical-align: bottom;
  white-space: nowrap; }
td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child, th:last-child { padding-right: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.cut td, tr.fold td { color: var(--muted); font-size: 13px; padding-top: 3px; }
tbody tr[data-pass].at td { background: var(--faint); }
tr.off td, tr.off td * { color: var(--muted); }
.swatch { display: inline-block; width: .72em; height: .72em; border-radius: 2px;
  margin-right: .45em; vertical-align: -.02em; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
table.sweep { width: auto; }
.name { overflow-wrap: anywhere; }
.passes .name, .flag { white-space: nowrap; }
.models .name { min-width: 180px; }
.quiet { color: var(--muted); }
table + .quiet, .scroll + .quiet { margin-top: 10px; }
.fixes th:first-child, .passes th:first-child { width: 1.8em; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; font-size: 13px;
  break-inside: avoid; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 0; }
dt { color: var(--muted); white-space: nowrap; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
code { font: 12px ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.15em; } li { margin: 2px 0; overflow-wrap: anywhere; }
footer { margin-top: 48px; color: var(--muted); font-size: 12.5px; }
@media (max-width: 1040px) {
  table.passes { font-size: 13px; } .passes td, .passes th { padding-right: 9px; }
}
@media (max-width: 719px) {
  main { padding: 20px 14px 48px; }
  .wide { display: none; } .narrow { display: block; }
  td, th { padding-right: 10px; }
  .cards { grid-template-columns: 1fr; } .panel dl { grid-template-columns: auto 1fr; }
  .models .name { min-width: 140px; }
  table.fixes thead { display: none; }
  table.fixes, table.fixes tbody, table.fixes tr, table.fixes td { display: block; }
  table.fixes tr { padding: 8px 0; border-bottom: 1px solid var(--line); }
  table.fixes td { border: 0; padding: 0; }
  table.fixes td.n { display: none; }
}
@media print {
  @page { margin: 14mm; }
  body { font-size: 10pt; } h1 { font-size: 19pt; }
  table { font-size: 8.5pt; } th { font-size: 8pt; } td, th { padding-right: 8px; }
  main { max-width: none; padding: 0; }
  .wide { display: block; } .narrow, .panel { display: none !important; }
  h2 { break-after: avoid; margin-top: 22px; } tr, figure { break-inside: avoid; }
  .scroll, figure { overflow: visible; }
}
)css";
}

const char* page_script() {
  return R"js(
(function () {
  var panel = document.getElementById('panel');
  function all(selector) { return Array.prototype.slice.call(document.querySelectorAll(selector)); }
  function show(element) {
    var number = element.getAttribute('data-pass');
    all('[data-pass]').forEach(function (e) {
      e.classList.toggle('at', e.getAttribute('data-pass') === number);
    });
    var card = document.getElementById('card-' + number);
    if (card) panel.innerHTML = card.innerHTML;
    else panel.textContent = element.getAttribute('aria-label');
  }
  all('.pass, tr[data-pass]').forEach(function (e) {
    ['mouseenter', 'focus', 'click'].forEach(function (kind) {
      e.addEventListener(kind, function () { show(e); });
    });
  });
  document.addEventListener('keydown', function (event) {
    var step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    var passes = all('.pass').filter(function (e) { return e.getClientRects().length > 0; });
    var at = passes.indexOf(document.activeElement);
    var next = passes[at < 0 ? (step > 0 ? 0 : passes.length - 1) : at + step];
    if (!next) return;
    next.focus();
    event.preventDefault();
  });
})();
)js";
}

}  // namespace ebb
