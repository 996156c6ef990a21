/** The package has types, but its exports hide those of this entry, which is loaded for its effect alone. */
declare module "fake-indexeddb/auto" {}
