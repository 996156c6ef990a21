/** Calls with typed values instead of bytes. Nothing of it travels: on the wire these are ordinary calls. */
import { utf8Decode, utf8Encode } from "../wire/bytes.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { RpcNode } from "./node.ts"
import { RPC_STATUS, RpcError, RpcProtocolError } from "./status.ts"
import type { CallOptions, RpcContext, ServeHandle, ServeOptions, ServiceCallOptions } from "./types.ts"

/** The part of the Standard Schema interface (version 1) that is used here; zod, valibot and arktype schemas fit. */
export interface StandardSchema<Output> {
  readonly "~standard": {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}
type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] }

/** How values become bytes. JSON by default. */
export interface RpcCodec {
  encode(value: unknown): Bytes
  decode(bytes: Bytes): unknown
}

export const jsonCodec: RpcCodec = {
  encode(value) {
    const text = JSON.stringify(value)
    // JSON.stringify gives undefined for undefined, functions and symbols.
    return utf8Encode(text ?? "null")
  },
  decode: (bytes) => JSON.parse(utf8Decode(bytes)) as unknown,
}

/** A service by name, with the schemas both sides agree on. Share it between caller and callee. */
interface TypedService<Input, Output> {
  name: string
  input: StandardSchema<Input>
  output: StandardSchema<Output>
  codec?: RpcCodec
}

/** Serves a unary service. A request that the schema refuses never reaches the handler; its caller gets `UnknownVersion`. */
export function serveTyped<Input, Output>(
  node: RpcNode,
  service: TypedService<Input, Output>,
  handler: (input: Input, context: RpcContext) => Promise<Output>,
  options?: ServeOptions,
): ServeHandle {
  const codec = service.codec ?? jsonCodec
  return node.serve(
    service.name,
    async (context, body) => {
      const input = await read(codec, service.input, body)
      if (!input.ok) throw new RpcProtocolError(RPC_STATUS.UnknownVersion, input.why)
      return codec.encode(await handler(input.value, context))
    },
    options,
  )
}

/**
 * Calls a unary service of `target`, or of any node that offers it when `target` is null.
 * @throws RpcError `codec` when the input cannot be encoded or the answer does not fit the schema.
 */
export async function callTyped<Input, Output>(
  node: RpcNode,
  target: NodeId | null,
  service: TypedService<Input, Output>,
  input: Input,
  options: CallOptions & ServiceCallOptions = {},
): Promise<Output> {
  const codec = service.codec ?? jsonCodec
  let body: Bytes
  try {
    body = codec.encode(input)
  } catch (cause) {
    throw new RpcError({ kind: "codec", direction: "encode", message: messageOf(cause) }, { cause })
  }
  const reply =
    target === null ? await node.callService(service.name, body, options) : await node.call(target, service.name, body, options)
  const output = await read(codec, service.output, reply.body)
  if (!output.ok) throw new RpcError({ kind: "codec", direction: "decode", message: output.why })
  return output.value
}

async function read<T>(
  codec: RpcCodec,
  schema: StandardSchema<T>,
  body: Bytes,
): Promise<{ ok: true; value: T } | { ok: false; why: string }> {
  try {
    const result = await schema["~standard"].validate(codec.decode(body))
    if (result.issues === undefined) return { ok: true, value: result.value }
    return { ok: false, why: result.issues.map(({ message }) => message).join("; ") }
  } catch (error) {
    return { ok: false, why: messageOf(error) }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
