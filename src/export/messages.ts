/** A conversation as datasets have it: what verl, TRL and `apply_chat_template` read. */
export const messages = { list: { struct: { role: 'string', content: 'string' } } } as const;
