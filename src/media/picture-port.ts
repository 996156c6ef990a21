/**
 * Pictures between page and worker over a MessagePort, for browsers whose tracks have no readable or writable side. Pictures are
 * moved, not copied, and only as many as the other side has asked for or taken.
 */

/** Page → publish worker: a picture, or `null` when the track ended. Publish worker → page: room for one more. */
export const WANT_PICTURE = "want"
/** Page → receive worker: a picture was shown. */
export const PICTURE_TAKEN = "taken"

/** Pictures that wait in the worker at most: an old picture is worth nothing. */
const MAX_WAITING = 2

/** Worker side of a capture: what comes out of the port as a stream. Cancelling it, or `null` from the page, ends it. */
export function picturesFrom(port: MessagePort): ReadableStream<VideoFrame> {
  let open = true
  const end = () => {
    open = false
    port.close()
  }
  return new ReadableStream<VideoFrame>(
    {
      start(controller) {
        port.onmessage = ({ data }: MessageEvent<VideoFrame | null>) => {
          if (data !== null && open) controller.enqueue(data)
          else if (data !== null) data.close()
          else if (open) {
            end()
            controller.close()
          }
        }
      },
      pull() {
        port.postMessage(WANT_PICTURE)
      },
      cancel() {
        port.postMessage(null)
        end()
      },
    },
    { highWaterMark: MAX_WAITING },
  )
}

/** Worker side of an output: a stream that hands its pictures to the page. A write is done when the page has shown it. */
export function picturesTo(port: MessagePort): WritableStream<VideoFrame> {
  let taken: (() => void) | undefined
  const end = () => {
    port.postMessage(null)
    port.close()
    taken?.()
  }
  return new WritableStream<VideoFrame>({
    start() {
      port.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (data === PICTURE_TAKEN) taken?.()
      }
    },
    write(picture) {
      port.postMessage(picture, [picture])
      return new Promise<void>((resolve) => {
        taken = resolve
      })
    },
    close: end,
    abort: end,
  })
}
