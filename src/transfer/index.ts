/** Directory transfer (control-plane 7): sharing trees, asking for their chunks, and building them where they are wanted. */
export { BlobClient, type BlobClientHost } from "./blob-client.ts"
export { BLOB_PART, BlobServer, type BlobServerHost, MAX_GETS_PER_PEER } from "./blob-server.ts"
export {
  BYTES_IN_FLIGHT_BROWSER,
  BYTES_IN_FLIGHT_NODE,
  type FetchProgress,
  type FetchTreeOptions,
  fetchTree,
  treeId,
} from "./fetch-tree.ts"
export { type OpfsSinkOptions, OpfsTreeSink, openOpfsTree } from "./opfs-sink.ts"
export { type ByteSource, SharedTree, type ShareOptions, type SourceEntry, sourceOf, sourceOfBlob } from "./shared-tree.ts"
export type { TreeFile, TreeSink } from "./sink.ts"
