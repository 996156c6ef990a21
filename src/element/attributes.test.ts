import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { createInvitation } from "../room/invitation.ts"
import { type CallAttributes, readAttributes } from "./attributes.ts"

const PAGE = "https://example.org/meet/index.html"
const none: CallAttributes = { room: null, server: null, invite: null, name: null, open: false }

describe("attributes of <holo-call>", () => {
  test("without any, the page's own server and a fresh invitation", () => {
    const { url, name, open, warnings } = readAttributes(none, PAGE)
    expect(url.origin + url.pathname).toBe("https://example.org/call")
    expect(url.hash).toMatch(/^#k=[\w-]{43}$/)
    expect([name, open, warnings]).toEqual(["", false, []])
    expect(readAttributes(none, PAGE).url.hash).not.toBe(url.hash)
  })

  test("an invitation may be a fragment, a whole link, or the page's fragment", () => {
    const { fragment } = createInvitation(PAGE, "garden")
    for (const invite of [fragment, `#${fragment}`, `https://elsewhere.example/x#${fragment}`]) {
      expect(readAttributes({ ...none, invite }, PAGE).url.hash).toBe(`#${fragment}`)
    }
    expect(readAttributes(none, `${PAGE}#${fragment}`).url.hash).toBe(`#${fragment}`)
  })

  test("open only without an invitation", () => {
    const { fragment } = createInvitation(PAGE, "garden")
    expect(readAttributes({ ...none, open: true }, PAGE)).toMatchObject({ open: true, url: { hash: "" } })
    expect(readAttributes({ ...none, open: true, invite: fragment }, PAGE).open).toBe(false)
  })

  test("bad values are named, never thrown, and secrets are not repeated", () => {
    const bad = { room: "no spaces!", server: "ftp://files.example", invite: "k=tooshort", name: "n".repeat(80), open: false }
    const { url, name, warnings } = readAttributes(bad, PAGE)
    expect(url.origin + url.pathname).toBe("https://example.org/call")
    expect(name).toHaveLength(64)
    expect(warnings.map((warning) => warning.split(":")[0])).toEqual(["server", "room", "name", "invite"])
    expect(warnings.join()).not.toContain("tooshort")
  })

  test("whatever the attributes say, there is an address to join", () => {
    const text = fc.option(fc.string({ unit: "binary" }))
    fc.assert(
      fc.property(text, text, text, text, fc.boolean(), (room, server, invite, name, open) => {
        const settings = readAttributes({ room, server, invite, name, open }, PAGE)
        expect(settings.url.pathname.length).toBeGreaterThan(1)
        expect(settings.open || settings.url.hash.length > 1).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})
