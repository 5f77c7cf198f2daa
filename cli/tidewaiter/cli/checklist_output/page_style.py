"""The style sheet of the checklist's page: light, dark, narrow and printed.

States are told apart by letter and by colour; the colours have a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3).
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f7f8fa; --card: #ffffff; --text: #1c2430; --faint: #5a6675; --line: #dfe3e9;
  --accent: #1f5f99;
  --yes: #d3ecd9; --yes-text: #12542a;
  --attested: #d2e6f5; --attested-text: #124a73;
  --no: #b3261e; --no-text: #ffffff;
  --unknown: #fbe7b2; --unknown-text: #694a00;
  --none: #eef0f3; --none-text: #626c7a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --text: #e4e8ee; --faint: #9aa6b5; --line: #2d3541;
    --accent: #86bdf0;
    --yes: #1d4a2c; --yes-text: #b9ecc8;
    --attested: #1b4361; --attested-text: #bfe0f8;
    --no: #e5675e; --no-text: #1d0604;
    --unknown: #5a4710; --unknown-text: #fbe3a1;
    --none: #232a34; --none-text: #97a2b1;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body {
  margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 84rem;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 small { color: var(--faint); font-weight: 500; margin-left: .4rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
code {
  font: .86em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  color: var(--faint); overflow-wrap: anywhere;
}
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 3; }
.facts, .how { color: var(--faint); margin: .3rem 0; }
.notice { border-left: 3px solid var(--unknown-text); padding: .1rem .8rem; }
.totals { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; padding: 0; margin: 1rem 0 .6rem; }
.totals li { display: flex; align-items: center; gap: .45rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.25rem; margin-top: 1.25rem;
}
.scroll { overflow-x: auto; }
table.map { border-collapse: separate; border-spacing: 3px; font-variant-numeric: tabular-nums; }
.map caption { text-align: left; color: var(--faint); padding-bottom: .4rem; font-size: .9rem; }
.map th { font-weight: 600; text-align: left; vertical-align: bottom; white-space: nowrap; }
.map thead th { color: var(--faint); font-size: .85rem; }
.map .name { position: sticky; left: 0; background: var(--card); z-index: 1; padding-right: .8rem; }
.map tbody .name {
  max-width: 22rem; overflow: hidden; text-overflow: ellipsis; font-weight: 500; vertical-align: middle;
}
.map tbody .name a { color: inherit; text-decoration: none; }
.map tbody .name a:hover { text-decoration: underline; }
.map .item span { writing-mode: vertical-rl; transform: rotate(180deg); padding-top: .3rem; }
.map .item { text-align: center; width: 2.4rem; }
.map td { padding: 0; text-align: center; }
.map .ready { padding-right: .7rem; text-align: right; white-space: nowrap; }
.score { display: inline-block; min-width: 2.9em; text-align: right; }
.bar {
  display: inline-block; width: 4.5rem; height: .45rem; margin-left: .5rem; vertical-align: middle;
  background: var(--none); border-radius: 9px; overflow: hidden;
}
.bar i { display: block; height: 100%; background: var(--accent); }
.cell {
  display: inline-grid; place-items: center; min-width: 1.55rem; height: 1.55rem; border-radius: 5px;
  font-weight: 700; font-size: .85rem; text-decoration: none; flex: none;
}
.map .cell { display: grid; width: 100%; min-width: 2.2rem; height: 2rem; }
.map a.cell:hover { box-shadow: inset 0 0 0 2px currentColor; }
.yes { background: var(--yes); color: var(--yes-text); }
.attested { background: var(--attested); color: var(--attested-text); }
.no { background: var(--no); color: var(--no-text); }
.unknown { background: var(--unknown); color: var(--unknown-text); }
.not-applicable { background: var(--none); color: var(--none-text); }
.answer { border-top: 1px solid var(--line); }
.answer summary {
  display: flex; align-items: center; gap: .7rem; padding: .5rem .2rem; cursor: pointer; list-style: none;
}
.answer summary::-webkit-details-marker { display: none; }
.answer summary::after {
  content: ""; flex: none; width: .45rem; height: .45rem; border: solid var(--faint); border-width: 0 2px 2px 0;
  transform: rotate(45deg); margin: -.2rem .3rem 0 .2rem;
}
.answer[open] summary::after { transform: rotate(225deg); margin-top: .2rem; }
.answer .title { flex: 1; font-weight: 500; }
.answer .state { color: var(--faint); font-size: .9rem; }
.reasons { padding: .1rem .2rem .9rem 2.45rem; overflow-wrap: anywhere; }
.reasons:focus { outline: none; }
.reasons:target { box-shadow: inset 3px 0 0 var(--accent); }
.reasons p, .reasons ul { margin: .3rem 0; }
.reasons ul { padding-left: 1.1rem; }
.reasons .question { border-left: 3px solid var(--line); padding-left: .7rem; }
.rules { color: var(--faint); font-size: .9rem; }
.problems li { overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  body { padding: 1.25rem .75rem 3rem; }
  section { padding: .9rem .8rem; }
  .map tbody .name { max-width: 9.5rem; white-space: normal; overflow-wrap: anywhere; line-height: 1.2; }
  .bar { display: none; }
  .reasons { padding-left: .2rem; }
  .answer .state { font-size: .8rem; }
}
@page { size: A4 landscape; margin: 10mm; }
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --card: #ffffff; --text: #000000; --faint: #333333; --line: #bbbbbb; --accent: #1f5f99;
    --yes: #d3ecd9; --yes-text: #0b3a1c; --attested: #d2e6f5; --attested-text: #0b3350;
    --no: #b3261e; --no-text: #ffffff; --unknown: #fbe7b2; --unknown-text: #4d3600;
    --none: #f0f0f0; --none-text: #555555;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { padding: 0; max-width: none; font-size: 9pt; }
  .services, .skip, .map caption, #map-title, .problems { display: none; }
  header { display: flex; flex-wrap: wrap; gap: 0 6mm; align-items: baseline; }
  h1 { font-size: 14pt; }
  .facts, .how, .notice { margin: 0; }
  .totals { margin: 1mm 0; gap: 0 5mm; width: 100%; order: 3; }
  .how { order: 4; }
  section { border: 0; padding: 0; margin-top: 2mm; }
  .scroll { overflow: visible; }
  table.map { width: 100%; border-spacing: .4mm; table-layout: fixed; font-size: min(9pt, calc(var(--row) * .7)); }
  .map thead { display: table-header-group; }
  .map tr { break-inside: avoid; height: calc(var(--row) - .4mm); line-height: 1; }
  .map .name { position: static; width: 62mm; }
  .map tbody .name { max-width: 62mm; padding-right: 2mm; vertical-align: middle; }
  .map thead th { font-size: 8pt; }
  .map thead th:nth-child(2) { width: 24mm; }
  .map .item { width: auto; }
  .map .cell { height: calc(var(--row) - .8mm); min-width: 0; font-size: inherit; border-radius: .6mm; }
  .bar { width: 9mm; height: calc(var(--row) * .3); margin-left: 1mm; }
  a { color: inherit; text-decoration: none; }
}
"""
