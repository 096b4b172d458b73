/** A reference to an immutable object in the artifact store: all that a workflow ever holds of one. */
export interface ArtifactRef {
  /** Relative to the store's root, e.g. `search/3f2a…/cd-12-x/tree.json`; stores may move without breaking runs. */
  uri: string;
  sha256: string;
  bytes: number;
  /** Rows for JSON Lines, 1 for a single document. */
  count: number;
}
