/** The numbers that may be changed, with their bounds and start values. */

export interface FieldSpec {
  name: string
  label: string
  /** Said below the field. */
  hint?: string
  unit?: string
  start: number
  min: number
  max: number
  step: number
  group: "room" | "pieces" | "history"
}

export const FIELDS = [
  { name: "peers", label: "Devices", start: 100, min: 2, max: 1_000_000, step: 1, group: "room" },
  { name: "gigabytes", label: "Room on each", unit: "GB", start: 10, min: 0.1, max: 100_000, step: 0.1, group: "room" },
  {
    name: "megabytes",
    label: "Size of one recording",
    unit: "MB",
    start: 200,
    min: 0.01,
    max: 1_000_000,
    step: 0.01,
    group: "room",
  },
  { name: "availability", label: "Devices there at a time", unit: "%", start: 90, min: 1, max: 100, step: 1, group: "room" },
  { name: "localities", label: "Places the devices are at", start: 10, min: 1, max: 1_000, step: 1, group: "room" },
  { name: "fanOut", label: "Copies a device passes on", start: 12, min: 1, max: 100, step: 1, group: "room" },
  { name: "source", label: "Pieces that bring it back", start: 20, min: 2, max: 500, step: 1, group: "pieces" },
  {
    name: "repair",
    label: "Pieces more",
    hint: "20 to 40 % of the pieces above.",
    start: 6,
    min: 1,
    max: 200,
    step: 1,
    group: "pieces",
  },
  {
    name: "holders",
    label: "Devices that keep one",
    hint: "At least all pieces.",
    start: 30,
    min: 3,
    max: 1_400,
    step: 1,
    group: "pieces",
  },
  { name: "viable", label: "Fewer than this are of no use", start: 5, min: 1, max: 499, step: 1, group: "pieces" },
  { name: "foldIn", label: "Items folded into one", start: 16, min: 2, max: 256, step: 1, group: "history" },
  { name: "perDay", label: "Items a day", start: 24, min: 1, max: 100_000, step: 1, group: "history" },
  { name: "years", label: "Years", start: 10, min: 1, max: 1_000, step: 1, group: "history" },
] as const satisfies readonly FieldSpec[]

export type FieldName = (typeof FIELDS)[number]["name"]
export type Values = Record<FieldName, number>
