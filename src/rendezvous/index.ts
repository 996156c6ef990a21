/** The rendezvous: client, introductions by members, and the server's machine. Knows no links and no rooms. */
export { openRendezvous } from "./client.ts"
export { type IntroducerAction, IntroducerMachine, type IntroducerOptions } from "./introducer.ts"
export * from "./types.ts"
