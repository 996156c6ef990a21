/** The two ways to begin a direct link: offering one, and answering an offer that was introduced to us. */
import { checkDescription } from "./descriptions.ts"
import { DirectLink } from "./direct-link.ts"
import type { AnswerLink, OfferLink, PeerLinkOptions } from "./types.ts"
import { browserWebRtc } from "./webrtc.ts"

export const offerLink: OfferLink = async (options) => {
  const link = new DirectLink("offerer", options, await makeCertificate(options))
  return link.attempt(async () => ({ link, offer: await link.makeOffer() }))
}

export const answerLink: AnswerLink = async (options, offer) => {
  const expected = { selfNode: options.signer.nodeId, fromNode: options.peerNode, kind: "offer" as const }
  const now = options.wallClock?.() ?? Date.now()
  const pins = options.pins && { pins: options.pins }
  const description = await checkDescription(offer.description, { ...expected, now, ...pins })
  const link = new DirectLink("answerer", { ...options, attemptId: description.attemptId }, await makeCertificate(options))
  return link.attempt(async () => ({ link, answer: await link.makeAnswer(offer, description) }))
}

/** One certificate per link: peers cannot recognise each other's partners by it. */
function makeCertificate({ webrtc = browserWebRtc }: PeerLinkOptions): Promise<RTCCertificate> {
  return webrtc.certificate()
}
