/** Messages between the receive worker and the AV1 worker. */

export type ToAv1Worker =
  /** A decoder with references of its own. */
  | { type: "open"; id: number }
  /** One temporal unit; `data` is transferred. */
  | { type: "decode"; id: number; ptsUs: number; data: ArrayBuffer }
  | { type: "close"; id: number }

export type FromAv1Worker =
  /** The decoder can be used. */
  | { type: "ready"; id: number }
  /** One unit is done; without a picture it showed nothing. The picture is transferred. */
  | { type: "decoded"; id: number; picture?: VideoFrame }
  /** The decoder is at its end. */
  | { type: "failed"; id: number; message: string }
