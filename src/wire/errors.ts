/** The one error class of the project and the closed list of its codes. */

/**
 * Every code an error of holomesh can carry. The names are stable identifiers: test for them, never for the text.
 * Grouped by the part of the protocol that raises them.
 */
export type ErrorCode =
  // byte codecs
  | "WireTooShort"
  | "WireTooLong"
  | "WireDecode"
  | "Malformed"
  | "NonCanonical"
  | "LinkFrameInvalid"
  | "LaneFrameInvalid"
  | "LaneBlockInvalid"
  | "FrameInvalid"
  | "FragmentInvalid"
  | "PayloadVersion"
  | "PayloadInvalid"
  | "ControlMalformed"
  | "CapacityInvalid"
  | "HelloInvalid"
  | "RoutedInvalid"
  | "DescriptionInvalid"
  | "AttestationInvalid"
  // an address that somebody named and that nothing speaks for: nothing is sent there
  | "CandidateRefused"
  | "AddressInvalid"
  | "RendezvousMalformed"
  // procedure calls: frames, services, the failure of a call
  | "Truncated"
  | "TooLarge"
  | "InvalidUtf8"
  | "AlreadyServing"
  | "RpcError"
  // files from others: a tree that must not be written, a source that lies, has it not, refuses, or says nothing any more
  | "UnsafePath"
  | "BlobInvalid"
  | "BlobNotFound"
  | "BlobRefused"
  | "BlobTimeout"
  // sealing and hop discipline
  | "InnerAead"
  | "OuterAead"
  | "PlaintextTooLarge"
  | "OpaqueLayerNotBase"
  | "ChunkSeqReuse"
  | "DekExhausted"
  | "TransitKeyReuse"
  | "LinkSeqExhausted"
  | "LinkIdInvalid"
  | "LinkReplay"
  | "ReplayWindowWidth"
  | "UnknownEpoch"
  | "UnknownStream"
  | "StreamDescriptorMismatch"
  // subscriptions and fan-out
  | "StreamNotFound"
  | "SubscriberNotFound"
  | "CapacityExceeded"
  | "InsufficientCapacity"
  | "StreamMismatch"
  | "OuterSealFailed"
  | "OuterOpenFailed"
  // relay advertisements and parents: who signed, for what, how old; why no parent was found
  | "AdvertiserUnknown"
  | "BindingMismatch"
  | "Stale"
  | "Rollback"
  | "NoFeasibleParent"
  | "AllCandidatesStale"
  | "NoCandidateSupportsLayerPolicy"
  | "UnknownParent"
  // fountain
  | "PayloadTooLarge"
  | "PayloadTooSmall"
  | "InsufficientSymbols"
  | "SymbolHashMismatch"
  | "DecodeFailed"
  | "SymbolSizeUnsupported"
  | "TooManySymbols"
  // keys and identity
  | "KeyInvalid"
  | "SignatureInvalid"
  | "SignerLacksPqc"
  | "SignerError"
  | "PqcPubkeyMissing"
  | "ReadOnly"
  | "EntityRebind"
  | "IdentityConflict"
  // this device's clock is more than 30 s away from the server's
  | "ClockOff"
  | "HybridRequiredButPeerLacksMlkem"
  | "StoreError"
  // an object of another thread was used after it was closed
  | "HandleClosed"
  // sessions and links
  | "SessionProofFailed"
  | "SessionSelf"
  | "SessionTimeout"
  | "SessionClosed"
  | "RoutedAuthFailed"
  | "RoutedReplay"
  | "KexInvalid"
  | "KexAuthFailed"
  | "KexTimeout"
  | "LaneFingerprint"
  | "LaneLimit"
  | "LinkFailed"
  // group
  | "PeerLacksMlkem"
  | "CreateFailed"
  | "CommitAddFailed"
  | "CommitRemoveFailed"
  | "ProcessFailed"
  | "WelcomeFailed"
  | "WireDecodeFailed"
  | "KeyPackageBuildFailed"
  | "ExportFailed"
  | "NotACommit"
  | "MemberNotFound"
  | "EmptyBatch"
  | "CiphersuiteNotAvailable"
  | "CannotRemoveSelf"
  | "AlreadyMember"
  | "DuplicateOp"
  | "CommitConflict"
  | "CommitPending"
  | "RemovedFromGroup"
  | "KeyPackageUnavailable"
  | "KeyPackageSignatureInvalid"
  | "KeyPackageExpired"
  | "KeyPackageMismatch"
  | "KeyPackageUnknown"
  | "InviterUnknown"
  | "WelcomeSignatureRejected"
  | "WelcomeMalformed"
  | "AlreadyInitialized"
  | "LeafIdentityUnverified"
  | "JoinerSurfaceUnwired"
  // room
  | "RoomUrlInvalid"
  | "RoomNameInvalid"
  | "InvitationInvalid"
  | "InvitationRefused"
  | "PeerNotInvited"
  | "RoomIdMismatch"
  | "RoomFull"
  | "RoomLocked"
  | "AdmissionDeclined"
  | "Barred"
  | "JoinTimeout"
  | "ProtocolVersion"
  | "ServerUnreachable"
  | "ServerRefused"
  | "ServerIdentityMismatch"
  | "CommitReasonInvalid"
  | "NotAllowed"
  | "Removed"
  | "SettingsInvalid"
  | "OrderInvalid"
  | "StateInvalid"
  | "TraversalError"
  | "RoomClosed"
  | "MessageTooLarge"
  | "TooManyStreams"
  | "Aborted"
  // announcements (control-plane 2.7) and serving (3.4)
  | "HopLimit"
  | "MissingField"
  | "BadField"
  | "AllowListTooLong"
  | "UnknownCriticalField"
  | "NodeIdMismatch"
  | "NotOrigin"
  | "FromFuture"
  | "Expired"
  | "NeighbourRateLimited"
  | "OriginRateLimited"
  | "BadSignature"
  | "StaleVersion"
  | "Equivocation"
  | "ReservedPrefix"
  | "PolicyRequired"
  // permission tokens (control-plane 5.3 to 5.6)
  | "InvalidFormat"
  | "InvalidSignature"
  | "NotYetValid"
  | "Revoked"
  | "NotAuthorized"
  | "ZeroTtl"
  | "TtlTooLong"
  | "DelegationExhausted"
  | "DelegationNotAllowed"
  // channel names and subscriptions (control-plane 5.1, 5.7)
  | "Empty"
  | "TooLong"
  | "InvalidChar"
  | "Reserved"
  | "HashCollision"
  // media
  | "MediaUnsupported"
  // Node without a WebRTC library, and what such a library cannot do
  | "WebRtcMissing"
  | "RestartUnsupported"
  | "MediaPermission"
  | "MediaDeviceMissing"
  | "MediaDeviceBusy"
  | "MediaConstraints"
  | "MediaEncodeFailed"
  | "MediaDecodeFailed"
  | "TrackEnded"
  | "TrackUnknown"
  // claims, topology and memory of a room
  | "IllFormedString"
  | "IntegerOutOfRange"
  | "Base64Invalid"
  | "TopologyDivergence"
  | "CanonSerialize"
  | "ForbiddenNamespace"
  | "DuplicateNamespace"
  | "LeafCountMismatch"
  | "InvalidRange"
  | "ChainClaimMalformed"
  | "MalformedInput"
  // witnesses taken in: their signatures (holonomic 5.6) and what they say beside what is known (5.8)
  | "PqcMissing"
  | "ClassicalSignatureInvalid"
  | "PqcSignatureInvalid"
  | "BothSignaturesInvalid"
  | "CanonicalSerializationFailed"
  | "UnsupportedVersion"
  | "EpochInFuture"
  | "Duplicate"
  | "NamespaceFork"
  // content of a room's memory: admission, deletion, policies, ageing
  | "UnsupportedManifestVersion"
  | "HybridRequired"
  | "HybridVerify"
  | "Canonicalization"
  | "SymbolHashesLenMismatch"
  | "SymbolContentIdMismatch"
  | "SymbolIdOutOfRange"
  | "DuplicateSymbolId"
  | "ContentRevoked"
  | "ManifestConflict"
  | "ItemNotFound"
  | "HardDeleteFailed"
  | "TotalSymbols"
  | "MinViable"
  | "TargetBelowTotal"
  | "RepairBand"
  | "PersistUnavailable"
  | "InvalidConsentClass"
  | "OverdueBacklog"
  // folds of many items into one
  | "MissingAggregatorPubkey"
  | "MemberCommitmentMismatch"
  | "Dominated"
  | "Multiplicity"
  | "AggregationShapeMismatch"
  | "AggregationConflict"
  | "AggregationNotFound"
  | "DuplicateSource"
  | "SourceCountMismatch"
  | "NoMembers"
  | "EmptyMember"
  | "TooManyMembers"
  // storage of a room's memory
  | "StorageUnavailable"
  | "StorageCorrupt"
  | "QuotaExceeded"
  // runtime
  | "HandleClosedError"
  | "WorkerFailed"
  | "UsageError"
  | "LimitExceeded"

/** Facts about one failure (sizes, ids, limits). Never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>

/**
 * The error thrown by every function of this project. `name` and `code` are the same {@link ErrorCode};
 * `details` carries the fields the specification lists for that code.
 */
export class AvError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options: { message?: string; cause?: unknown } = {}) {
    super(options.message ?? summarize(code, details), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = code
    this.code = code
    this.details = details
  }
}

/** True when `value` is an {@link AvError}, optionally with that code. Also true for one that crossed a worker border. */
export function isAvError(value: unknown, code?: ErrorCode): value is AvError {
  if (!(value instanceof Error)) return false
  const known = "code" in value && typeof value.code === "string" && value.code === value.name
  return known && (code === undefined || value.name === code)
}

function summarize(code: ErrorCode, details: ErrorDetails): string {
  const fields = Object.entries(details)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k} ${String(v)}`)
  return fields.length === 0 ? code : `${code} (${fields.join(", ")})`
}
