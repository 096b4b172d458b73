import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { rewardStream, taskFrom } from '../../src/cli/reward.ts';

const problem = { id: 'a', data: { numbers: [1, 2, 3], target: 6 } };
const right = 'so it is $\\boxed{1+2+3}$';

async function rewards(lines: readonly string[]) {
  const output = new PassThrough();
  await rewardStream(taskFrom('{"name":"countdown"}'), Readable.from(lines.map((line) => `${line}\n`)), output);
  const text = output.read()?.toString() ?? '';
  return text
    .split('\n')
    .filter(Boolean)
    .map((line: string) => JSON.parse(line));
}

describe('astroflow reward', () => {
  it('answers every line in order: rewards of right, wrong and cut answers, and what is wrong with a line', async () => {
    const answers = await rewards([
      JSON.stringify({ problem, response: right }),
      JSON.stringify({ problem, response: '\\boxed{1+2}' }),
      JSON.stringify({ problem, response: right, truncated: true }),
      'nonsense',
      JSON.stringify({ problem }),
      JSON.stringify({ problem: { numbers: [1] }, response: right }),
      JSON.stringify({ problem: { id: 'b', data: 7 }, response: right }),
      JSON.stringify({ problem, response: 'no answer' }),
    ]);
    expect(answers).toMatchObject([
      { reward: 1, correct: true, answer: '1+2+3' },
      { reward: -1, correct: false, answer: '1+2' },
      { reward: -1, correct: true },
      { error: expect.stringContaining('not JSON') },
      { error: expect.stringContaining('"response"') },
      { error: expect.stringContaining('"problem"') },
      { error: expect.stringContaining('countdown') },
      { reward: -1, correct: false, answer: null },
    ]);
  });

  it('answers a line before the next one is there', async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    const done = rewardStream(taskFrom('{"name":"countdown"}'), input, output);
    for (const response of [right, 'none']) {
      input.write(`${JSON.stringify({ problem, response })}\n`);
      const line = await new Promise<string>((resolve) => output.once('data', (chunk) => resolve(String(chunk))));
      expect(JSON.parse(line).reward).toBe(response === right ? 1 : -1);
    }
    input.end();
    await done;
  });

  it('says what is wrong with a task', () => {
    expect(() => taskFrom('{')).toThrow('--task is not JSON');
    expect(() => taskFrom('{"name":"chess"}')).toThrow('Known tasks: countdown');
    expect(() => taskFrom('{"name":"countdown","numbers":"x"}')).toThrow('numbers');
  });
});
