/** The append log in the browser's private files, in the worker that owns them. */
import { openOpfsLog } from "../../src/store/log/opfs.ts"
import { LOG_NOTE, measureLogs } from "../append-log.ts"
import type { Subject } from "../subject.ts"

export const opfsLog: Subject = {
  name: "append-log-opfs",
  title: "Append log in the browser's private files",
  note: LOG_NOTE,
  run: async (effort) => {
    const root = await navigator.storage.getDirectory()
    return measureLogs(effort, {
      open: (name, durability) => openOpfsLog(name, { durability }),
      remove: (name) => root.removeEntry(name, { recursive: true }),
    })
  },
}
