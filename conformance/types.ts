/** Shapes shared by the conformance command and its runners. */

/** The case leaves out what an answer needs: neither right nor wrong. */
export class Unanswerable extends Error {}

/** Runs one case through the product's own functions; throws (or rejects) when the answer differs. */
// biome-ignore lint/suspicious/noExplicitAny: a vector case is foreign JSON; each runner checks what it reads
export type CaseRunner = (testCase: any) => void | Promise<void>

/**
 * Runners by vector format (the part of a file's `format` member before `-vectors/`, e.g. `av-mesh`) and section name.
 * A section is an array of cases, or (rarely) one object that is a case of its own.
 */
export type RunnerTable = Record<string, Record<string, CaseRunner>>
