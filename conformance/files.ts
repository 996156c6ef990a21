/** Which vector files are meant: files by name, folders with everything in them. */
import { existsSync } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Without names: ours, and those that others publish where they lie beside the repository. */
export async function vectorFiles(named: readonly string[]): Promise<string[]> {
  if (named.length > 0) return (await Promise.all(named.map(filesOf))).flat()
  const beside = ["sample", "19", "19_7"]
    .map((folder) => here(`../../shared/vectors/${folder}`))
    .filter((path) => existsSync(path))
  return (await Promise.all([here("./vectors"), ...beside].map(filesOf))).flat()
}

/** A folder without a vector file is a mistake: nothing would have been checked. */
async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true })
  const files = entries.filter((name) => name.endsWith(".json")).sort()
  if (files.length === 0) throw new Error(`${path}: no vector files in it`)
  return files.map((name) => `${path.replace(/\/$/, "")}/${name}`)
}
