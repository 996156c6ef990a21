/** Runs in a page before its own code: opens microphones without the processing that takes a test tone for noise and removes it. */
export function hearTones(): void {
  const { mediaDevices } = navigator
  const open = mediaDevices.getUserMedia.bind(mediaDevices)
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
  mediaDevices.getUserMedia = (wanted = {}) => {
    const audio = typeof wanted.audio === "object" ? { ...wanted.audio, ...plain } : wanted.audio ? plain : false
    return open({ ...wanted, audio })
  }
}
