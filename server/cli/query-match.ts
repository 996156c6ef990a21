/** What `holomesh cap query` looks for in an announcement. */
import { isTag, serviceTag } from "../../src/capability/tags.ts"
import { isAvError } from "../../src/wire/errors.ts"
import { canonicalServiceName } from "../../src/wire/service-name.ts"
import { CliError } from "./failure.ts"

export interface QueryFlags {
  tag?: string[]
  service?: string[]
  meta?: string[]
}

export interface Query {
  /** All of them have to be there; a `*` at the end stands for anything. */
  tags: readonly string[]
  /** Canonical names; their tags are among {@link Query.tags}. */
  services: readonly string[]
  metadata: ReadonlyMap<string, string>
}

/** @throws CliError */
export function readQuery({ tag = [], service = [], meta = [] }: QueryFlags): Query {
  const services = service.map(serviceOf)
  const tags = tag.map((text) => text.trim())
  for (const text of tags) if (!isTag(text)) throw new CliError("bad-tag", `${text} is no tag`)
  const metadata = new Map<string, string>()
  for (const pair of meta) {
    const at = pair.indexOf("=")
    if (at < 1) throw new CliError("bad-meta", "--meta is written as key=value")
    metadata.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim())
  }
  return { tags: [...tags, ...services.map(serviceTag)], services, metadata }
}

export function matches(query: Query, tags: readonly string[], metadata: ReadonlyMap<string, string>): boolean {
  return (
    query.tags.every((wanted) => hasTag(tags, wanted)) && [...query.metadata].every(([key, value]) => metadata.get(key) === value)
  )
}

function hasTag(tags: readonly string[], wanted: string): boolean {
  return wanted.endsWith("*") ? tags.some((tag) => tag.startsWith(wanted.slice(0, -1))) : tags.includes(wanted)
}

function serviceOf(text: string): string {
  try {
    return canonicalServiceName(text.trim())
  } catch (error) {
    if (!isAvError(error)) throw error
    throw new CliError("bad-service", `${text.trim()} is no name of a service`)
  }
}
