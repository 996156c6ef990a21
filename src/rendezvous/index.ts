/** The rendezvous: client, introductions by members, and the server's machine. Knows no links and no rooms. */
export { AddressEvidence } from "./address-evidence.ts"
export { openRendezvous } from "./client.ts"
export { type IntroducerAction, IntroducerMachine } from "./introducer.ts"
export { ResponderBudget } from "./responder.ts"
export * from "./types.ts"
export { FixedWindows } from "./windows.ts"
