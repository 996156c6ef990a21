/** Objects in JSON described once, for reading, writing and as a type. */
import { type Field, isJsonObject, type JsonObject, type Plain } from "./json-field.ts"

/** One member of an object: its name on the wire and its codec. */
export interface Member<T, Optional extends boolean> {
  readonly name: string
  readonly field: Field<T>
  readonly optional: Optional
}
export type Shape = Record<string, Member<unknown, boolean>>

type RequiredKeys<S extends Shape> = { [K in keyof S]: S[K] extends Member<unknown, false> ? K : never }[keyof S]
type OptionalKeys<S extends Shape> = Exclude<keyof S, RequiredKeys<S>>
type Value<M> = M extends Member<infer T, boolean> ? T : never
/** The decoded object of a shape. */
export type Decoded<S extends Shape> = { [K in RequiredKeys<S>]: Value<S[K]> } & { [K in OptionalKeys<S>]?: Value<S[K]> }

/** A member that must be there. */
export function required<T>(name: string, field: Field<T>): Member<T, false> {
  return { name, field, optional: false }
}

/** A member that may be missing; when it is there it must be valid. */
export function optional<T>(name: string, field: Field<T>): Member<T, true> {
  return { name, field, optional: true }
}

/** Reads the members of a shape; further members are ignored. Undefined when one is missing or wrong. */
export function readShape<S extends Shape>(shape: S, object: JsonObject): Decoded<S> | undefined {
  const out: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(shape)) {
    const value = object[member.name]
    if (value === undefined) {
      if (member.optional) continue
      return undefined
    }
    const read = member.field.read(value)
    if (read === undefined) return undefined
    out[key] = read
  }
  return out as Decoded<S>
}

/** Writes the members of a shape in its order; optional ones that are undefined are left out. */
export function writeShape<S extends Shape>(shape: S, value: Decoded<S>): { [member: string]: Plain } {
  const out: { [member: string]: Plain } = {}
  const source: Record<string, unknown> = value
  for (const [key, member] of Object.entries(shape)) {
    if (source[key] !== undefined) out[member.name] = member.field.write(source[key])
  }
  return out
}

/** A nested object of a shape. */
export function objectOf<S extends Shape>(shape: S): Field<Decoded<S>> {
  return {
    read: (value) => (isJsonObject(value) ? readShape(shape, value) : undefined),
    write: (value) => writeShape(shape, value),
  }
}
