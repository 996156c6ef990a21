/** What an announcer keeps across restarts, as plain JSON values for whatever storage there is. */
import { fromHex, toHex } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { MAX_GENERATION } from "../wire/floor-record.ts"
import { isNodeId } from "../wire/node-id.ts"
import type { Bytes } from "../wire/types.ts"
import { MAX_ALLOW_LIST } from "./announcement.ts"
import type { StoredSelf } from "./announcer.ts"
import { OPEN_POLICY, type Policy } from "./self-state.ts"

export interface StoredSelfJson {
  generation: number
  /** Decimal. */
  lastVersion: string
  allowedNodes: string[]
  /** Hex. */
  allowedSubnets: string[]
  allowedGroups: string[]
  strict: boolean
}

export function writeStoredSelf({ generation, lastVersion, policy = OPEN_POLICY }: StoredSelf): StoredSelfJson {
  return {
    generation,
    lastVersion: lastVersion.toString(),
    allowedNodes: [...policy.allowedNodes],
    allowedSubnets: policy.allowedSubnets.map(toHex),
    allowedGroups: policy.allowedGroups.map(toHex),
    strict: policy.strict,
  }
}

/** @throws AvError `StoreError` on anything that {@link writeStoredSelf} does not write: a policy must not be lost in silence. */
export function readStoredSelf(value: unknown): StoredSelf {
  const json = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>
  const { generation, lastVersion, strict } = json
  if (typeof generation !== "number" || !Number.isInteger(generation) || generation < 0 || generation > MAX_GENERATION)
    throw damaged()
  if (typeof lastVersion !== "string" || !/^[0-9]{1,19}$/.test(lastVersion) || typeof strict !== "boolean") throw damaged()
  const policy: Policy = {
    allowedNodes: texts(json.allowedNodes, isNodeId),
    allowedSubnets: ids(json.allowedSubnets, 16),
    allowedGroups: ids(json.allowedGroups, 32),
    strict,
  }
  return { generation, lastVersion: BigInt(lastVersion), policy }
}

function texts(value: unknown, isValid: (text: string) => boolean): string[] {
  const valid = Array.isArray(value) && value.length <= MAX_ALLOW_LIST
  if (!valid || !value.every((item) => typeof item === "string" && isValid(item))) throw damaged()
  return value as string[]
}

function ids(value: unknown, length: number): Bytes[] {
  try {
    return texts(value, (text) => text.length === 2 * length).map((text) => fromHex(text))
  } catch (cause) {
    throw isAvError(cause) ? damaged() : cause
  }
}

function damaged(): AvError {
  return new AvError("StoreError", { what: "announcer state" })
}
