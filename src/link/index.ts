/** Links to peers: lanes, control sessions, and what the mesh worker needs to use them. */
export { AttemptLog, checkDescription, type DescriptionHead, ourOfferWins, peekDescription } from "./descriptions.ts"
export { GOAWAY } from "./errors.ts"
export * from "./lane-port.ts"
export { answerLink, offerLink } from "./peer-link.ts"
export { forwardRouted, routedAddress } from "./routed-forward.ts"
export { createRoutedHub } from "./routed-hub.ts"
export * from "./types.ts"
export { browserWebRtc, type WebRtc } from "./webrtc.ts"
