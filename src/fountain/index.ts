/** Fountain coding (RaptorQ, RFC 6330): frames survive lost packets without asking again. */
export * from "./assembler.ts"
export { fountainModule, initFountain, isFountainReady } from "./codec.ts"
export * from "./config.ts"
export * from "./live.ts"
export { type FountainEncoded, type FountainSymbol, fountainDecode, fountainEncode } from "./object.ts"
