/** Line icons, drawn on a 24 by 24 grid. They are decoration: the button around them carries the label. */
import { svg } from "./dom.ts"

const PATHS = {
  microphone: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 10.5V11a6.5 6.5 0 0 0 13 0v-.5M12 17.5V21",
  microphoneOff:
    "M15 10.5V6a3 3 0 0 0-5.7-1.3M9 9v2a3 3 0 0 0 4.6 2.5M5.5 10.5V11a6.5 6.5 0 0 0 10.3 5.3M18.5 10.5V11c0 1-.2 1.9-.6 2.7M12 17.5V21M4 3.5l16 17",
  camera: "M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM15.5 10.7l5.2-3v8.6l-5.2-3",
  cameraOff:
    "M9.7 6.5h3.8a2 2 0 0 1 2 2v3.3l5.2-4.1v8.6l-3-1.7M15.4 16.1a2 2 0 0 1-1.9 1.4h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.7-2M4 3.5l16 17",
  screen:
    "M4.5 4.5h15a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2ZM8 20.5h8M12 14V8M9.2 10.3 12 7.5l2.8 2.8",
  leave: "M3 13.2c5.2-5 12.8-5 18 0l-1.7 2.9-4-1.3-.3-2.9a12 12 0 0 0-6 0l-.3 2.9-4 1.3Z",
  chat: "M4.5 5h15a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H12l-5 4v-4H4.5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2ZM7.5 9.3h9M7.5 12.7h5.5",
  invite: "M10 13.5a4 4 0 0 0 5.9.4l3-3a4 4 0 0 0-5.7-5.7L11.8 6.6M14 10.5a4 4 0 0 0-5.9-.4l-3 3a4 4 0 0 0 5.7 5.7l1.4-1.4",
  statistics: "M4 20h16M6.5 16.5v-4M11 16.5v-9M15.5 16.5v-6M20 16.5V5",
  more: "M6 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0ZM13 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0ZM20 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0Z",
  settings: "M4 7h9M19 7h1M4 12h2M12 12h8M4 17h10M20 17h0M16 4.8v4.4M9 9.8v4.4M17 14.8v4.4",
  keyboard:
    "M4 6.5h16a1.5 1.5 0 0 1 1.5 1.5v8a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 16V8A1.5 1.5 0 0 1 4 6.5ZM6.5 10h.01M10 10h.01M13.5 10h.01M17 10h.01M8 14h8",
  close: "M6 6l12 12M18 6 6 18",
  send: "M4 12 20.5 4.5 15 20.5l-3.4-6.3L4 12ZM11.6 14.2l4-4.4",
  copy: "M9 9h9.5a1.5 1.5 0 0 1 1.5 1.5V20a1.5 1.5 0 0 1-1.5 1.5H9A1.5 1.5 0 0 1 7.5 20v-9.5A1.5 1.5 0 0 1 9 9ZM4.5 15.5A1.5 1.5 0 0 1 3 14V4.5A1.5 1.5 0 0 1 4.5 3H14a1.5 1.5 0 0 1 1.5 1.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  lock: "M6.5 11h11A1.5 1.5 0 0 1 19 12.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5v-6A1.5 1.5 0 0 1 6.5 11ZM8 11V8a4 4 0 0 1 8 0v3",
  unlocked:
    "M6.5 11h11A1.5 1.5 0 0 1 19 12.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5v-6A1.5 1.5 0 0 1 6.5 11ZM8 11V7.5a4 4 0 0 1 7.7-1.5",
  speaker: "M4 9.5h3.5L12 5.5v13l-4.5-4H4ZM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  voice: "M5 10v4M9.7 6.5v11M14.3 8.5v7M19 10.5v3",
  network:
    "M12 3.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM5 16.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM12 16.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM19 16.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM12 7.5v9M12 11c0 2-7 1.5-7 5.500M12 11c0 2 7 1.5 7 5.5",
  broadcast:
    "M12 10.500a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3ZM8.5 8.500a5 5 0 0 0 0 7M15.5 8.500a5 5 0 0 1 0 7M5.7 5.700a9 9 0 0 0 0 12.600M18.3 5.700a9 9 0 0 1 0 12.6",
  people:
    "M9 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM3 19.5c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5M15.5 5.3a3 3 0 0 1 0 5.4M17.5 14.5c2.1.8 3.5 2.6 3.5 5",
  door: "M6.5 21V4.5A1.5 1.5 0 0 1 8 3h8a1.5 1.5 0 0 1 1.5 1.5V21M3.5 21h17M14 12v.6",
  files: "M4.5 5h5l2 2.5h8A1.5 1.5 0 0 1 21 9v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 18V6.5A1.5 1.5 0 0 1 4.5 5Z",
  record: "M12 4.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15ZM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6Z",
  save: "M12 4v11M7.5 11 12 15.5 16.5 11M4.5 19.5h15",
  warning: "M12 4 2.8 19.5h18.4ZM12 10v4.5M12 17h.01",
} as const

export type IconName = keyof typeof PATHS

export function icon(name: IconName): SVGSVGElement {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }))
}

/** The mark of the project: four peers and the links between them. */
export function mark(): SVGSVGElement {
  const links = svg("path", { d: "M12 4 4.5 18M12 4l7.5 14M4.5 18h15M12 4v9M4.5 18l7.5-5M19.5 18 12 13", class: "mark-links" })
  const peers = [
    [12, 4, 2.8],
    [4.5, 18, 2.8],
    [19.5, 18, 2.8],
    [12, 13, 2.1],
  ].map(([cx = 0, cy = 0, r = 0]) => svg("circle", { cx, cy, r }))
  return svg("svg", { viewBox: "0 0 24 24", class: "mark", "aria-hidden": "true" }, links, ...peers)
}
