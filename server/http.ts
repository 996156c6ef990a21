/** The HTTP side of the server: the demo's files, `/healthz`, and the headers that fence the page in. */
import type { IncomingMessage, ServerResponse } from "node:http"
import sirv from "sirv"

/**
 * Default Content-Security-Policy of served pages. Scripts come from this server only; `wasm-unsafe-eval` lets WebAssembly
 * compile and allows no `eval`; workers and worklets of the one-file build start from blob URLs.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' blob: 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob: mediastream:",
  "font-src 'self'",
  "connect-src 'self' ws: wss:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join("; ")

interface HttpOptions {
  /** Directory of the page; without one only `/healthz` answers. */
  staticDir: string | undefined
  contentSecurityPolicy: string
  /** Counts for `/healthz`; `draining` turns the answer into a 503 so that load balancers look elsewhere. */
  health: () => { draining: boolean } & Record<string, unknown>
}

/** Answers plain HTTP requests. Never throws, whatever the request says. */
export function createHttpHandler(options: HttpOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const serveFile = options.staticDir === undefined ? undefined : sirv(options.staticDir, { etag: true, dev: false })
  return (request, response) => {
    fence(response, options.contentSecurityPolicy)
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD")
      return refuse(response, 405)
    }
    const path = request.url?.split("?", 1)[0]
    if (path === "/healthz") return answerHealth(response, options.health())
    if (serveFile === undefined) return refuse(response, 404)
    // A page has no use for ranges, and a range whose end lies before its start would throw inside the file stream.
    delete request.headers.range
    // A file that goes away while it is sent must end this response, not the process.
    response.once("pipe", (source) => source.once("error", () => response.destroy()))
    try {
      serveFile(request, response, () => refuse(response, 404))
    } catch {
      refuse(response, 400)
    }
  }
}

function answerHealth(response: ServerResponse, health: { draining: boolean }): void {
  response.setHeader("Content-Type", "application/json")
  response.setHeader("Cache-Control", "no-store")
  response.writeHead(health.draining ? 503 : 200)
  response.end(JSON.stringify(health))
}

function fence(response: ServerResponse, policy: string): void {
  response.setHeader("Content-Security-Policy", policy)
  response.setHeader("X-Content-Type-Options", "nosniff")
  // The path may be a room's name; nobody else needs to learn it.
  response.setHeader("Referrer-Policy", "no-referrer")
  response.setHeader("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=()")
}

function refuse(response: ServerResponse, status: number): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.setHeader("Content-Type", "text/plain; charset=utf-8")
  response.writeHead(status)
  response.end(`${status}\n`)
}
