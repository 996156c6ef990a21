/** Control frames whole: the frame itself, its fragments and the types (control-plane 0.5). */
export * from "./fragment.ts"
export * from "./frame.ts"
