/** The face of the relay worker: the part of the mesh worker that needs no content key, no encoder and no decoder. */
import type { MeshApi, MeshOptions, MeshStats } from "../mesh/types.ts"

export interface RelayStats extends Pick<MeshStats, "at" | "links" | "relay"> {
  /** Refused items per stage, by error name. */
  stages: Pick<MeshStats["stages"], "lane" | "outer">
}

/** What both workers are asked, and their cores after them. */
export type DrivenCall =
  | "addLane"
  | "removeLane"
  | "removeLink"
  | "setLinkKey"
  | "pathChanged"
  | "limitUplink"
  | "addSubscriber"
  | "setSubscriberPolicy"
  | "removeSubscriber"
  | "requestKeyframe"
  | "subscribeStream"
  | "unsubscribeStream"
  | "close"

/** As {@link MeshApi}; `subscribeStream` never shows anything here, it only brings what is handed on. */
export interface RelayApi extends Pick<MeshApi, DrivenCall | "setEventPort"> {
  /** First call. Handing on is enabled unless the options say otherwise. */
  configure(options: MeshOptions): Promise<void>
  stats(): RelayStats
}
