/** The rendezvous: client, introductions by members, and the server's machine. Knows no links and no rooms. */
export { AddressEvidence, type AddressGate, type AddressWord } from "./address-evidence.ts"
export { openRendezvous } from "./client.ts"
export { type IntroducerAction, IntroducerMachine, type IntroducerOptions } from "./introducer.ts"
export { type Introducer, ResponderBudget } from "./responder.ts"
export * from "./types.ts"
export { FixedWindows } from "./windows.ts"
