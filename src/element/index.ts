/** `<holo-call>`: a call as one element. */
export { defineHoloCall, type HoloCallElement, type HoloCallWarning } from "./holo-call.ts"
