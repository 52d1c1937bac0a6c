/** Style of the status page. Colour never stands alone: each state is written out too. */
export const style = `
:root { color-scheme: light dark; --ground: light-dark(#f6f7f9, #101418); --card: light-dark(#fff, #1a2027); --line: light-dark(#d5dae1, #343d48);
  --text: light-dark(#15191e, #eef1f5); --soft: light-dark(#4c5663, #a9b4c2); --bad: light-dark(#b3121d, #ff8a8f); --warn: light-dark(#8a5200, #ffc266);
  --good: light-dark(#146c37, #6fd699); --use: light-dark(#1f5fbf, #7db2ff); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header, main { max-width: 1400px; margin: 0 auto; padding: 16px 20px; }
header { display: flex; flex-wrap: wrap; gap: 4px 24px; align-items: baseline; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1.1rem; margin: 28px 0 10px; } h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; } .soft { color: var(--soft); } [hidden] { display: none !important; }
.grid { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); list-style: none; margin: 0; padding: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--line); border-radius: 6px; padding: 12px 14px; min-width: 0; }
.bad { border-left-color: var(--bad); } .warn { border-left-color: var(--warn); } .good { border-left-color: var(--good); }
.bad > .word { color: var(--bad); } .warn > .word { color: var(--warn); } .good > .word { color: var(--good); }
.word.bad { color: var(--bad); } .word.warn { color: var(--warn); } .word.good { color: var(--good); } .stale .card, .stale .numbers li { border-style: dashed; }
.word { font-weight: 600; } .left { font-size: 1.9rem; font-weight: 650; margin: 2px 0; }
.numbers { display: flex; flex-wrap: wrap; gap: 10px; list-style: none; padding: 0; margin: 12px 0 0; }
.numbers li { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 8px 14px; } .numbers b { display: block; font-size: 1.5rem; line-height: 1.15; }
svg { display: block; width: 100%; height: 72px; margin-top: 8px; } .use { fill: var(--use); }
.axis { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; } .closed { fill: var(--good); } .open { fill: var(--bad); } .halfOpen { fill: var(--warn); }
.scale { display: flex; justify-content: space-between; font-size: .8rem; color: var(--soft); }
form { max-width: 560px; margin-bottom: 20px; } label { display: block; font-weight: 600; margin-bottom: 6px; }
input { width: 100%; font: inherit; padding: 8px 10px; border: 1px solid var(--soft); border-radius: 6px; background: var(--card); color: inherit; }
button { font: inherit; font-weight: 600; padding: 8px 16px; border: 1px solid var(--soft); border-radius: 6px; background: var(--card); color: inherit; cursor: pointer; }
form button { margin-top: 10px; } header button { margin-left: auto; padding: 4px 12px; }
:focus-visible { outline: 3px solid var(--use); outline-offset: 2px; }
`;
