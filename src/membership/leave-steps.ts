/** What is done, in which order, when this peer leaves (RM-15). */

/** One step of leaving; `link` steps are done on every room link. */
type LeaveStep =
  | { step: "room.state" }
  | { step: "av.leaving"; link: string }
  | { step: "proposal" }
  | { step: "UNREGISTER" }
  | { step: "GOAWAY"; link: string }
  | { step: "GOAWAY server" }
  | { step: "close" }

/** How long a graceful leave may take. */
export const LEAVE_MS = 2_000

/**
 * The steps in order. A page that is being closed can only do synchronous things: the GOAWAYs, and nothing that needs an answer,
 * a signature or a flush.
 */
export function leaveSteps(facts: { pageClosing: boolean; links: readonly string[]; server: boolean }): LeaveStep[] {
  const goaways: LeaveStep[] = facts.links.map((link) => ({ step: "GOAWAY", link }))
  if (facts.server) goaways.push({ step: "GOAWAY server" })
  if (facts.pageClosing) return goaways
  const unregister: LeaveStep[] = facts.server ? [{ step: "UNREGISTER" }] : []
  return [
    { step: "room.state" },
    ...facts.links.map((link): LeaveStep => ({ step: "av.leaving", link })),
    { step: "proposal" },
    ...unregister,
    ...goaways,
    { step: "close" },
  ]
}
