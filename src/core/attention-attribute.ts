/**
 * Search attribute of type Bool: whether a run waits for a person. Where the server has it, `start` sets it to false, and
 * the run keeps it up to date; a run that was started without it never sets it, since an unknown attribute would stop it.
 */
export const attentionAttribute = 'AstroAttention';
