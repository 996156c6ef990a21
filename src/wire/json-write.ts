/** JSON text that keeps the sign of zero, which `JSON.stringify` drops: signed rates are signed with it (av-mesh 8.2). */
import type { Plain } from "./json-field.ts"

/** Like `JSON.stringify`, with minus zero written as `-0.0`. */
export function writeJson(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${writeJson(member)}`)
    return `{${members.join(",")}}`
  }
  return Object.is(value, -0) ? "-0.0" : JSON.stringify(value)
}
