/** The public vectors of the reference: a file holds one case and says in `vector_id`, or by its members, of which section it is. */
import type { VectorFile } from "./run.ts"

/** Members by which the files without a `vector_id` are known. */
const KNOWN_BY: Record<string, string> = {
  witness_preimage_v1_hex: "domain_separators",
  agg_meta_v1_hex: "domain_separators",
  max_witness_chain_len: "schema_versions",
}

/** Undefined for anything that is no such vector. */
export function readPublicVector(file: Record<string, unknown>): VectorFile | undefined {
  const named = typeof file.vector_id === "string" ? file.vector_id.split("/")[0] : undefined
  const section = named ?? Object.entries(KNOWN_BY).find(([member]) => Object.hasOwn(file, member))?.[1]
  return section === undefined ? undefined : { format: "holonomic-public", sections: { [section]: [file] } }
}
