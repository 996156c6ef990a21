/** Storage for what must survive a reload: the identity and the private parts of published key packages. */
export * from "./indexed-db.ts"
export * from "./store.ts"
