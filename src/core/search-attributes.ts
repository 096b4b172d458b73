/**
 * Search attributes of a run's workflows, by which a server finds them. Where the server has them `start` sets them and
 * the run keeps them up to date; a workflow that was started without one never sets it, since an unknown attribute
 * would stop it.
 */
export const searchAttributes = {
  /** Keyword, of all workflows of a run: its name. */
  run: 'AstroflowRun',
  /** Keyword: the stage under way (`rl search`), of the root; its own, of a stage and what it starts. */
  stage: 'AstroflowStage',
  /** Keyword, of all workflows of a run: `policy.base`. */
  model: 'AstroflowModel',
  /** Bool, of a workflow that people start: whether it waits for a person. */
  attention: 'AstroAttention',
} as const;

/** What the stage of a root is before its first, and after its last. */
export const outsideStages = { before: 'starting', after: 'finished' } as const;

/** Keywords longer than this are refused by servers with SQL visibility. */
export const mostKeywordCharacters = 255;
