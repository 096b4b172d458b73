import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillPrompt, type PromptName, promptProblems } from '../../../src/core/language/prompt.ts';

describe('a prompt file', () => {
  const file = [
    'A note that is not sent, with {{anything}}.',
    '# System',
    'You check.',
    '',
    '# User',
    'An example.',
    '# Assistant',
    'VERDICT: good',
    '# User',
    '{{problem}} and {{ solution }}',
    '## Step 1 is no section',
    '',
  ].join('\n');

  it('becomes messages by its sections, with the values in their places', () => {
    expect(promptProblems('judge', file)).toEqual([]);
    expect(fillPrompt(file, { problem: 'P', solution: 'S' })).toEqual([
      { role: 'system', content: 'You check.' },
      { role: 'user', content: 'An example.' },
      { role: 'assistant', content: 'VERDICT: good' },
      { role: 'user', content: 'P and S\n## Step 1 is no section' },
    ]);
  });

  it('takes any value as it is, also one that looks like a placeholder, a section or a pattern', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom('{{problem}}', '$&$1', '\n# User\n')), (value) => {
        const last = fillPrompt('# User\n({{solution}})', { solution: value, problem: 'P' }).at(-1);
        expect(last?.content).toBe(`(${value})`);
      }),
    );
  });

  it.each<[string, PromptName, string, string[]]>([
    [
      'no section',
      'restart',
      '{{text}}',
      ['its last section must be "# User": what the model answers', 'the placeholder {{text}} is missing'],
    ],
    [
      'an answer at its end',
      'restart',
      '# User\n{{text}}\n# Assistant\nx',
      ['its last section must be "# User": what the model answers'],
    ],
    [
      'a late system section',
      'restart',
      '# User\nx\n# System\ny\n# User\n{{text}}',
      ['"# System" can only be the first section'],
    ],
    ['an empty section', 'restart', '# System\n\n# User\n{{text}}', ['a section is empty']],
    [
      'an unknown placeholder',
      'step',
      '# User\n{{text}} {{step}} {{answer}}',
      ['unknown placeholder {{answer}}: use {{text}}, {{step}}, {{problem}}'],
    ],
    ['a missing placeholder', 'judge', '# User\n{{problem}}', ['the placeholder {{solution}} is missing']],
  ])('with %s is refused with the reason', (_what, name, text, problems) => {
    expect(promptProblems(name, text)).toEqual(problems);
  });

  it.each<[PromptName, string]>([
    ['judge', 'judge'],
    ['step', 'narrate-step'],
    ['backtrack', 'narrate-backtrack'],
    ['restart', 'narrate-restart'],
  ])('that is shipped for %s can be used', (name, shipped) => {
    const text = readFileSync(new URL(`../../../prompts/${shipped}.md`, import.meta.url), 'utf8');
    expect(promptProblems(name, text)).toEqual([]);
    const messages = fillPrompt(text, { problem: 'P!', solution: 'S!', text: 'T!', step: 'N!', target: 'G!' });
    expect(messages[0]?.role).toBe('system');
    expect(messages.map(({ content }) => content).join('')).not.toMatch(/\{\{\w+\}\}/);
  });
});
