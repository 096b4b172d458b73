import { expect, it } from 'vitest';
import { conversation } from '../../src/core/chat-rows.ts';
import type { Message } from '../../src/core/problem.ts';

const user: Message = { role: 'user', content: '4 9 3?' };

it('a conversation ends in what the model writes, joined to what its prompt began of it', () => {
  expect(conversation({ prompt: [user], completion: 'So 39.' })).toEqual([
    user,
    { role: 'assistant', content: 'So 39.' },
  ]);
  expect(conversation({ prompt: [user, { role: 'assistant', content: 'So' }], completion: ' 39.' })).toEqual([
    user,
    { role: 'assistant', content: 'So 39.' },
  ]);
});
