/** The public shapes of sharing files and folders in a room. */
import type { SourceEntry, TreeSink } from "../../transfer/index.ts"
import type { Participant } from "../types.ts"

/** A file and where it lies in what is shared. */
export interface SharedFile {
  /** Components joined by `/`, none of them `.` or `..`; at most 1 024 bytes. */
  path: string
  file: Blob
}

export interface ShareOptions {
  /** How the others see it. Default: the name of the file, or of the folder that all lie in. */
  name?: string
  /** Told while everything is read once, to compute what names it. */
  onProgress?(progress: { bytes: number; totalBytes: number }): void
  signal?: AbortSignal
}

/** Something that this page shares. The files stay where they are and are read when somebody fetches them. */
export interface Share {
  readonly id: string
  readonly name: string
  readonly files: number
  readonly bytes: number
  /** Nobody gets it any more; fetches under way fail. */
  stop(): void
}

/** Something that another member shares, in its own words: nothing of it is true before it was fetched. */
export interface FileOffer {
  /** Names the content: two offers with one id are the same files. */
  readonly id: string
  readonly from: Participant
  readonly name: string
  readonly files: number
  readonly bytes: number
}

export interface FetchOptions {
  onProgress?(progress: { bytes: number; totalBytes: number; files: number; totalFiles: number }): void
  /** What is there already stays, and the next fetch goes on from it. */
  signal?: AbortSignal
  /** Largest sum of all files, bytes. Default 2 GiB. */
  maxBytes?: number
}

/** Fetched files, in the browser's private storage until they are removed or the room is left. */
export interface FetchedFiles {
  readonly id: string
  readonly name: string
  readonly files: readonly { path: string; size: number }[]
  /** Symbolic links of the tree, which a browser cannot make. They lead to something inside of it. */
  readonly links: readonly { path: string; target: string }[]
  open(path: string): Promise<File>
  remove(): Promise<void>
}

/**
 * Files and folders for everybody in the room, from page to page. What travels is checked against the hashes that the offer commits to; a
 * manifest with a path that could do harm is refused as a whole.
 */
export interface RoomFiles {
  /** Reads everything once, then tells the room. Throws `UnsafePath`, `TooLarge`, `LimitExceeded`, `Aborted`. */
  share(files: Blob | readonly (File | SharedFile)[], options?: ShareOptions): Promise<Share>
  /**
   * The same for what is no `Blob`, such as a directory of a Node program (`readNodeTree`), with its links and permissions. Sources are read
   * again whenever somebody fetches.
   */
  shareTree(entries: readonly SourceEntry[], options: ShareOptions & { name: string }): Promise<Share>
  readonly shares: readonly Share[]
  /** What the others share. */
  readonly offers: readonly FileOffer[]
  /**
   * Fetches what an offer names, into the browser's private storage. Throws `BlobNotFound` when it is not shared any more, `BlobRefused`,
   * `BlobInvalid` for content that does not match, `UnsafePath`, `TooLarge`, `QuotaExceeded`, `StoreError`, `LinkFailed`, `Aborted`.
   */
  fetch(offer: FileOffer, options?: FetchOptions): Promise<FetchedFiles>
  /**
   * Fetches into another place, such as a directory of a Node program (`NodeTreeSink`). It is there as a whole in the end, or not at all;
   * the room forgets nothing of it. Throws like {@link RoomFiles.fetch}.
   */
  fetchInto(offer: FileOffer, sink: TreeSink, options?: FetchOptions): Promise<void>
  /** Most that this page sends of files in all, bit/s; default 8 Mbit/s, so that a call goes on beside it. `undefined`: no limit. */
  setUploadRate(bitrate: number | undefined): void
  /** Bytes of files sent so far. */
  readonly sentBytes: number
}
