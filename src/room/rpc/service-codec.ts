/** How the values of a service become bytes and back: as they are for a bare name, checked against schemas otherwise. */
import { jsonCodec, RPC_STATUS, type RpcCodec, RpcError, RpcProtocolError, type StandardSchema } from "../../rpc/index.ts"
import type { Bytes } from "../../wire/types.ts"
import type { RpcService } from "./types.ts"

export interface ServiceCodec {
  readonly name: string
  /** What the callee reads; a value that does not fit never reaches the handler. */
  readInput(bytes: Bytes): Promise<unknown>
  writeOutput(value: unknown): Bytes
  /** @throws RpcError `codec` */
  writeInput(value: unknown): Bytes
  /** @throws RpcError `codec` */
  readOutput(bytes: Bytes): Promise<unknown>
}

export function serviceCodec(service: string | RpcService<unknown, unknown>): ServiceCodec {
  return typeof service === "string" ? bytesCodec(service) : typedCodec(service)
}

function bytesCodec(name: string): ServiceCodec {
  const bytesOf = (value: unknown): Bytes => {
    if (value instanceof Uint8Array) return value
    throw new RpcError({ kind: "codec", direction: "encode", message: "not a Uint8Array" })
  }
  const same = async (bytes: Bytes) => bytes
  return { name, readInput: same, writeOutput: bytesOf, writeInput: bytesOf, readOutput: same }
}

function typedCodec({ name, input, output, codec = jsonCodec }: RpcService<unknown, unknown>): ServiceCodec {
  return {
    name,
    async readInput(bytes) {
      try {
        return await checked(codec, input, bytes)
      } catch (error) {
        throw new RpcProtocolError(RPC_STATUS.UnknownVersion, messageOf(error))
      }
    },
    writeOutput: (value) => codec.encode(value),
    writeInput(value) {
      try {
        return codec.encode(value)
      } catch (cause) {
        throw new RpcError({ kind: "codec", direction: "encode", message: messageOf(cause) }, { cause })
      }
    },
    async readOutput(bytes) {
      try {
        return await checked(codec, output, bytes)
      } catch (cause) {
        throw new RpcError({ kind: "codec", direction: "decode", message: messageOf(cause) }, { cause })
      }
    },
  }
}

async function checked(codec: RpcCodec, schema: StandardSchema<unknown> | undefined, bytes: Bytes): Promise<unknown> {
  const value = codec.decode(bytes)
  if (schema === undefined) return value
  const result = await schema["~standard"].validate(value)
  if (result.issues === undefined) return result.value
  throw new TypeError(result.issues.map(({ message }) => message).join("; "))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
