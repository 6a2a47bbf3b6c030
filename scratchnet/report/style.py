"""The style of the page: one column, a light and a dark theme, readable on a phone and in print.

Pictures have a white background in both themes. On a narrow screen, wide pictures and tables keep their size and
scroll horizontally.
"""

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #59636e; --line: #d8dee4; --ground: #fff; --card: #f6f8fa;
  --good: #00684c; --warning: #a33f00; }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9aa5b1; --line: #343b44; --ground: #0f1318; --card: #181e25;
    --good: #3fcf9f; --warning: #ff9a5c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, sans-serif; }
main, footer { max-width: 54rem; margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.3rem; font-weight: 600; margin: .6rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
h2 { font-size: 1.45rem; margin: 3rem 0 1rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; overflow-wrap: anywhere; }
.big { font-size: 3.6rem; font-weight: 700; line-height: 1.1; margin: .3rem 0; }
.numbers { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .9rem; }
.numbers dt { color: var(--soft); font-size: .8rem; }
.numbers dd { margin: 0; font-weight: 600; }
.findings { list-style: none; padding: 0; }
.findings li { background: var(--card); border-left: .25rem solid var(--soft); border-radius: .25rem; margin: .5rem 0;
  padding: .5rem .8rem; }
.findings b { margin-right: .4rem; }
.findings .good { border-color: var(--good); }
.findings .warning { border-color: var(--warning); }
.good b { color: var(--good); }
.warning b { color: var(--warning); }
.facts div { display: grid; grid-template-columns: 11rem 1fr; gap: 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0; break-inside: avoid; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem; }
.picture { background: #fff; border: 1px solid var(--line); border-radius: .5rem; padding: .6rem; overflow-x: auto; }
.picture img { display: block; max-width: 100%; margin: 0 auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 500; }
tbody th { font-weight: 500; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem;
  white-space: pre-wrap; overflow-x: auto; }
pre span { white-space: pre; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--soft); }
footer { color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) {
  .facts div { grid-template-columns: 1fr; gap: 0; }
  .picture img { max-width: none; width: 40rem; }
}
@media print {
  :root { font-size: 11px; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  h2 { margin-top: 1.5rem; }
  details { display: none; }
  .picture img { max-height: 15cm; }
}
"""
