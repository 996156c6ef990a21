/**
 * holomesh: video calls in the browser without a media server.
 *
 * Importing this module does nothing and needs no browser; `joinRoom` does.
 */
export { defineHoloCall, type HoloCallElement, type HoloCallWarning } from "./element/index.ts"
export { onDeviceChange, openScreen } from "./media/devices.ts"
export { onPermissionChange } from "./media/permissions.ts"
export {
  type DeviceChoice,
  type DeviceList,
  type KeepOptions,
  type KeptDevice,
  keepDevice,
  listDevices,
  type OpenedDevices,
  openDevices,
} from "./room/devices.ts"
export type * from "./room/files/types.ts"
export { fitToElement } from "./room/fit-element.ts"
export type * from "./room/host/types.ts"
export { createInvitation } from "./room/invitation.ts"
export { joinRoom } from "./room/join.ts"
export { type LevelMeter, levelMeter } from "./room/level-meter.ts"
export type * from "./room/memory/types.ts"
export type * from "./room/record/types.ts"
export type * from "./room/rpc/types.ts"
export { describeError } from "./room/sentences.ts"
export type * from "./room/types.ts"
export { RpcAppError, RpcError } from "./rpc/index.ts"
export { type AppendLogHandle, type LogWorker, type OpenLogOptions, openLog } from "./store/log/remote-log.ts"
export type { TreeFile, TreeSink } from "./transfer/index.ts"
export { AvError, type ErrorCode, type ErrorDetails, isAvError } from "./wire/errors.ts"
export { BLINKING_DOT, UNCAPPED } from "./wire/layers.ts"
export type { ReceiverLayerPolicy } from "./wire/types.ts"
