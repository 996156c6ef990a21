/** Entry of the log worker: append logs in what this browser has for them. Loaded only by applications that keep a log. */
import { openIndexedDbLog } from "../src/store/log/idb.ts"
import { type LogPort, serveLogs } from "../src/store/log/log-service.ts"
import { openOpfsLog } from "../src/store/log/opfs.ts"

/** A property of the browser and never of the moment: a log must not be in two places. */
const hasFiles = "FileSystemFileHandle" in globalThis && "createSyncAccessHandle" in FileSystemFileHandle.prototype

serveLogs(globalThis as unknown as LogPort, hasFiles ? openOpfsLog : openIndexedDbLog)
