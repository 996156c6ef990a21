// `npm start`: installs what is missing, builds, and serves the demo call with its rendezvous server on localhost.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { installPackages, root, run } from "./lib.mjs"

installPackages()
run("build", process.execPath, [join("scripts", "build.mjs"), "--no-types"])
const child = spawn(
  process.execPath,
  [join("dist", "server", "main.js"), "serve", "--static", join("dist", "site"), ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit" },
)
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal))
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 0 : 1)))
