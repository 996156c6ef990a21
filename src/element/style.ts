/** Looks of `<holo-call>`. A page themes it with `--holo-call-accent` and ordinary `color`, `background` and `font`. */
export const STYLE = `
:host { display: flex; flex-direction: column; gap: 10px; min-height: 260px; color-scheme: light dark; --accent: var(--holo-call-accent, #0b766c); }
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
p { margin: 0; }
form, .bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
input, button { font: inherit; min-height: 42px; padding: 6px 14px; border-radius: 10px; border: 1px solid #84919a; }
input { min-width: 0; flex: 1 1 160px; max-width: 280px; }
button { cursor: pointer; font-weight: 600; }
button[type="submit"] { background: var(--accent); border-color: transparent; color: #fff; }
button[aria-pressed="false"], .leave { background: #c4283a; border-color: transparent; color: #fff; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.tiles { flex: 1; display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); align-content: center; }
article { position: relative; margin: 0; aspect-ratio: 16 / 9; border-radius: 12px; overflow: hidden; background: #1a2227; color: #fff; }
article.speaking { outline: 3px solid var(--accent); outline-offset: -3px; }
video { width: 100%; height: 100%; object-fit: cover; display: block; }
.own video { transform: scaleX(-1); }
article p { position: absolute; left: 6px; bottom: 6px; max-width: calc(100% - 12px); padding: 2px 9px; border-radius: 8px; background: rgb(12 18 21 / 75%); font-size: 0.85em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.quality { position: absolute; right: 6px; top: 6px; max-width: calc(100% - 12px); padding: 2px 9px; border-radius: 8px; background: rgb(12 18 21 / 75%); font-size: 0.8em; }
.quality span + span { margin-left: 6px; }
.quality .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.sound { background: var(--accent); border-color: transparent; color: #fff; }
`
