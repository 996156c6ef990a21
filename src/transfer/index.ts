/** Directory transfer (control-plane 7): sharing trees, asking for their chunks, and building them where they are wanted. */
export { BlobClient } from "./blob-client.ts"
export { BlobServer } from "./blob-server.ts"
export { BYTES_IN_FLIGHT_BROWSER, BYTES_IN_FLIGHT_NODE, fetchTree, treeId } from "./fetch-tree.ts"
export { OpfsTreeSink, openOpfsTree } from "./opfs-sink.ts"
export { type ByteSource, SharedTree, type SourceEntry, sourceOf, sourceOfBlob } from "./shared-tree.ts"
export type { TreeFile, TreeSink } from "./sink.ts"
