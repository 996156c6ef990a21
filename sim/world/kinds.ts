/** The kinds of events of the virtual clock. Numbers, because millions of them are planned. */
export const EVENT = {
  /** A function kept aside: everything that is rare. a: its place. */
  call: 0,
  /** The source makes a group. a: group */
  publish: 1,
  /** Symbols come in. a: hop, b: group, c: symbols, d: steps from the source */
  arrive: 2,
  /** A request to repeat comes to the parent. a: hop, b: group, c: symbols, d: how often asked before */
  repeat: 3,
  /** Keep-alive comes in. a: hop */
  keepAlive: 4,
  /** A peer looks at its parents. a: peer */
  tick: 5,
  /** Once a second per peer: rates, advertisements. a: peer */
  second: 6,
  /** Nobody can need a group any more: it is judged. a: group */
  judge: 7,
} as const
