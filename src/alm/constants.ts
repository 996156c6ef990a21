/** Numbers of the multicast layer, each with its rule (av-mesh 8.1, D-26, D-27, D-44). Times in ms. */

/** A candidate that got less than this share of recent attempts through is not asked. */
export const MIN_REACHABILITY_RATIO = 0.5
export const MAX_BACKUPS = 2
/** Silence of exactly this long is not yet death. */
export const PARENT_SILENCE_HEAL_MS = 1_500
/** A parent that has been silent this long while another one goes on delivering is probably gone: the next one is asked before it is certain. */
export const PARENT_MISSED_MS = 600
/** One that has never paused for long is missed sooner, but not before. */
export const PARENT_MISSED_SOON_MS = 300
/** A parent that delivers is kept this long beside the one that takes its place: over a longer way its copies are later than the new one's. */
export const HANDOVER_MS = 500
/** First pause between two reports of the same silent parent; doubles. */
export const REPARENT_BACKOFF_MS = 250
export const MAX_REPARENT_BACKOFF_MS = 4_000
/** No answer to a subscribe within this time: the next candidate is asked (D-19.9). */
export const SUBSCRIBE_TIMEOUT_MS = 2_000
/** A healthy subscription moves only for at least this gain in round trip time (D-26.6) … */
export const SWITCH_MARGIN = 0.2
/** … that lasted this long … */
export const SWITCH_DWELL_MS = 10_000
/** … and at most this often. */
export const SWITCH_INTERVAL_MS = 30_000
/** A tree is not used before its snapshot is this old: everybody should have the same by then (D-44). */
export const TREE_SETTLE_MS = 2_000
/** What an unknown round trip sorts as. */
export const UNKNOWN_RTT_MS = 0xffff_ffff
