import type { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RoleAnswer } from '../../src/activities/role-calls.ts';
import type { TreeRows } from '../../src/activities/tree-rows.ts';
import { artifactNames, type LanguagePlan, type LinearizePlan, type Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Funnel, SftRow } from '../../src/core/records.ts';
import { astroPhrases } from '../../src/core/tasks/astro-phrases.ts';
import { addUsage, noUsage } from '../../src/core/usage.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { scriptedTextModel } from '../../src/services/text-model/scripted.ts';
import type { TextModel, TextRequest } from '../../src/services/text-model/text-model.ts';
import { filesOf, type Lab, linearizeAll, mockEnvironment, narrateAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';
import { sumsRun as config } from '../support/sums.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
  await searchAll(lab, await lab.plan(config));
});
afterAll(() => lab.close());

/** The same searched trees under another key of linearisation, so that nothing is stored for it yet. */
let variants = 0;
function variant(change: RunConfigInput = {}): Promise<Plan> {
  variants += 1;
  return lab.plan({ ...config, ...change, linearize: { ...config.linearize, highValue: 0.3 + variants / 1000 } });
}

const spoken = ({ linearize }: Plan) => linearize as LinearizePlan & { roles: LanguagePlan };

async function rowsOf(plan: Plan, arm: 'search' | 'direct' = 'search'): Promise<SftRow[]> {
  return lab.store.getLines<SftRow>((await lab.store.find(artifactNames.rows(plan.linearize.key, arm)))!);
}

/** Every stored answer of judge and narrator. */
async function answersOf(of: Lab, plan: Plan): Promise<RoleAnswer[]> {
  const files = await filesOf(of, `linearize/${plan.linearize.key}`);
  return [...files]
    .filter(([name]) => /\/(judge|narrate)-/.test(name))
    .map(([, bytes]) => JSON.parse(bytes.toString()) as RoleAnswer);
}

/** A model that answers some requests otherwise; it sees what it is asked about. */
function answering(write: (request: TextRequest, prompt: string) => string | undefined) {
  return (real: TextModel): TextModel => ({
    ...real,
    async ask(request, signal) {
      const answer = await real.ask(request, signal);
      const text = write(request, request.messages.at(-1)?.content ?? '');
      return text === undefined ? answer : { ...answer, texts: answer.texts.map((one) => ({ ...one, text })) };
    },
  });
}

const rewrites = (text: string) => answering((_request, prompt) => (prompt.includes('<step>') ? text : undefined));

/** What a text model made of the trees of a plan that nobody has narrated yet. */
async function treesBy(textModel: (real: TextModel) => TextModel, plan: Plan): Promise<TreeRows[]> {
  await narrateAll(lab, plan, { doubles: { textModel } });
  const files = await filesOf(lab, `linearize/${plan.linearize.key}`);
  return [...files].filter(([name]) => name.endsWith('/rows.json')).map(([, bytes]) => JSON.parse(bytes.toString()));
}

const flawsOf = (trees: TreeRows[]) => [...new Set(trees.flatMap(({ counts }) => Object.keys(counts.rejectedRows)))];

describe('judged and narrated trees', () => {
  let plan: Plan;
  let funnel: Funnel;
  beforeAll(async () => {
    plan = await lab.plan(config);
    funnel = await linearizeAll(lab, plan);
  });

  it('become rows that go back as planned and end right', async () => {
    const rows = await rowsOf(plan);
    expect(rows.length).toBeGreaterThan(4);
    expect(new Set(rows.map((row) => row.arm))).toEqual(new Set(['search', 'direct']));
    for (const row of rows) {
      expect(row.backtracks).toBe(row.plannedBacktracks);
      expect(row.text.split(astroPhrases.narration!.backtrackOpening).length - 1).toBe(row.backtracks);
      expect(row.text.match(/\\boxed/g)).toHaveLength(1);
      expect(row.text).toMatch(/\n\nBut wait, .*\nOur solution seems to be correct so far\.$/);
    }
    expect(rows.some((row) => row.text.includes('Let us look at this next.'))).toBe(true);
  });

  it('record who filled which role, by which prompts, plan and votes', async () => {
    for (const row of await rowsOf(plan)) {
      expect(row.roles).toEqual({ policy: 'scripted-base', judge: 'scripted', narrator: 'scripted' });
      expect(row.prompts).toBe(plan.linearize.roles!.prompts.sha256);
      expect(row.votes).toEqual({ good: 8, bad: 0, unread: 0 });
      expect(row.fallbacks).toBe(0);
      expect(row.plan.requested).toBeGreaterThanOrEqual(row.backtracks);
      expect(row.plan.events.filter(([kind]) => kind === 'backtrack' || kind === 'restart')).toHaveLength(
        row.backtracks,
      );
      expect(row.plan.events.at(-1)).toEqual(['reflectAnswer', expect.any(Number)]);
    }
  });

  it('are counted: every tree, every vote, every event, every token', async () => {
    const rejected = Object.values(funnel.rejected).reduce((sum, count) => sum + count, 0);
    expect(funnel.valid + rejected).toBe(funnel.problems);
    const language = funnel.language!;
    expect(language).toMatchObject({ unreadVotes: 0, fallbacks: 0, rejectedRows: {} });
    expect(language.votes).toBe(language.judged * 8);
    expect(language.approved).toBeLessThanOrEqual(language.judged);
    const answers = await answersOf(lab, plan);
    expect(answers).toHaveLength(language.judged + language.narrated);
    expect(answers.reduce((sum, { usage }) => addUsage(sum, usage), noUsage)).toEqual(language.usage);
    expect(new Set(answers.map(({ callId }) => callId)).size).toBe(answers.length);
  });

  it('are the same bytes in another run, and nothing is asked a second time', async () => {
    const other = await openLab();
    try {
      const again = await other.plan(config);
      await searchAll(other, again);
      await linearizeAll(other, again);
      const files = (of: Lab) => filesOf(of, `linearize/${plan.linearize.key}`);
      expect(await files(other)).toEqual(await files(lab));
    } finally {
      await other.close();
    }
    const page = await lab.call('readTreesPage', { plan: plan.linearize, first: 0 });
    expect(page.slugs).toEqual([]);
    expect(page.finished).toBeGreaterThan(0);
  });

  it('show at most so many solutions to the judge', async () => {
    const few = await variant({ roles: { ...config.roles, judge: { ...config.roles!.judge, maxSolutions: 1 } } });
    const { language, solved } = await linearizeAll(lab, few);
    expect(language!.judged).toBeLessThanOrEqual(solved);
    expect(funnel.language!.judged).toBeGreaterThan(language!.judged);
  });
});

describe('an attempt that dies', () => {
  it('has lost nothing: the next one goes on with the next call, and the rows are the same', async () => {
    const plan = await variant();
    const asked: string[] = [];
    /** Answers once in its life. */
    const short = () => {
      let left = 1;
      return (real: TextModel): TextModel => ({
        ...real,
        async ask(request, signal) {
          if (left-- <= 0) throw new ServiceError('retryable', 'gone', { service: 'scripted' });
          asked.push(request.callId);
          return real.ask(request, signal);
        },
      });
    };
    const { slugs } = await lab.call('readTreesPage', { plan: plan.linearize, first: 0 });
    for (const slug of slugs) {
      for (let attempt = 1; ; attempt++) {
        const options = { attempt, doubles: { textModel: short() } };
        const made = await lab
          .call('narrateTree', { plan: spoken(plan), slug }, options)
          .catch((error: ApplicationFailure) => {
            expect(error.type).toBe('ServiceUnavailable');
          });
        if (made !== undefined) break;
      }
    }
    expect(asked.length).toBeGreaterThan(20);
    expect(new Set(asked).size).toBe(asked.length);
    const answers = await answersOf(lab, plan);
    expect(answers.map(({ callId }) => callId).sort()).toEqual(asked.sort());

    const other = await openLab();
    try {
      const whole = await other.plan({ ...config, linearize: plan.linearize.params });
      await searchAll(other, whole);
      for (const slug of slugs) await other.call('narrateTree', { plan: spoken(whole), slug });
      const rows = (of: Lab, slug: string) =>
        filesOf(of, `linearize/${plan.linearize.key}/${slug}`).then((files) => [...files.values()]);
      for (const slug of slugs) expect(await rows(lab, slug)).toEqual(await rows(other, slug));
    } finally {
      await other.close();
    }
  });

  it('because it was cancelled ends as cancelled', async () => {
    const plan = await variant();
    const environment = mockEnvironment();
    const hangs = (real: TextModel): TextModel => ({
      ...real,
      ask: (_request, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          environment.cancel();
        }),
    });
    const cancelled = narrateAll(lab, plan, { environment, doubles: { textModel: hangs } });
    await expect(cancelled).rejects.toMatchObject({ name: 'CancelledFailure' });
  });

  it('because its requests are refused says so, and is not retried', async () => {
    const refuses = (real: TextModel): TextModel => ({
      ...real,
      ask: () => Promise.reject(new ServiceError('fatal', 'no model "judge"', { service: 'chat' })),
    });
    const refused = narrateAll(lab, await variant(), { doubles: { textModel: refuses } });
    await expect(refused).rejects.toMatchObject({ type: 'ServiceRefused', nonRetryable: true });
  });
});

describe('a narrator', () => {
  it('that writes nothing usable is asked again for steps, and templates write everything', async () => {
    const plan = await variant();
    const silent = answering((_request, prompt) => (prompt.includes('<solution>') ? undefined : ' '));
    const funnel = await linearizeAll(lab, plan, { doubles: { textModel: silent } });
    const { narrated, fallbacks, rejectedRows } = funnel.language!;
    expect(rejectedRows).toEqual({});
    expect(fallbacks).toBe(narrated);
    const calls = (await answersOf(lab, plan)).map(({ callId }) => callId).filter((id) => id.includes('/narrate/'));
    const again = calls.filter((id) => id.endsWith('-again'));
    expect(calls).toHaveLength(narrated + again.length);
    const rows = await rowsOf(plan);
    for (const row of rows) {
      const asked = row.plan.events.filter(([kind]) => !kind.startsWith('reflect'));
      expect(row.fallbacks).toBe(asked.length);
      expect(row.text).toContain('## Step 1: Note the numbers');
    }
    expect(again.length).toBeGreaterThan(rows.length);
  });

  it('is asked again with another seed, and its second answer counts', async () => {
    const plan = await variant();
    const seeds = new Map<string, number>();
    const hasty = answering(({ callId, seed }, prompt) => {
      seeds.set(callId, seed);
      return prompt.includes('<step>') && !callId.endsWith('-again') ? astroPhrases.backtrackMarker : undefined;
    });
    const funnel = await linearizeAll(lab, plan, { doubles: { textModel: hasty } });
    expect(funnel.language).toMatchObject({ fallbacks: 0, rejectedRows: {} });
    const again = [...seeds].filter(([id]) => id.endsWith('-again'));
    expect(again.length).toBeGreaterThan(0);
    for (const [id, seed] of again) expect(seeds.get(id.replace(/-again$/, ''))).not.toBe(seed);
  });

  it('that loses the answers costs the rows, with the reason counted, and a tree without rows is invalid', async () => {
    const plan = await variant();
    const trees = await treesBy(rewrites('And so on.'), plan);
    expect(flawsOf(trees)).toEqual(['narration: the final answer is not right']);
    expect(trees.every(({ rows }) => rows.length === 0)).toBe(true);
    await expect(linearizeAll(lab, plan)).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"narration: no search row passed the filter"'),
    });
  });

  it('that forgets failed answers costs search rows, and with all of them the tree’s direct ones', async () => {
    const forgets = answering((_request, prompt) => {
      const step = /<step>\n(.*)\n<\/step>\s*$/s.exec(prompt)?.[1];
      return step?.includes('The answer is') && !step.includes('boxed') ? 'That is what we get.' : undefined;
    });
    const trees = await treesBy(forgets, await variant());
    expect(flawsOf(trees)).toEqual(['narration: a wrong answer was lost']);
    for (const { rows, counts, invalid } of trees.filter(({ counts }) => counts.approved > 0)) {
      expect(counts.rejectedRows).not.toEqual({});
      expect([rows, invalid]).toEqual([[], 'narration: no search row passed the filter']);
    }
  });

  it('that knows the answer before it was found is caught', async () => {
    const knows = answering((_request, prompt) => {
      if (!prompt.includes('<target>')) return undefined;
      const numbers = /Add up (\d+), (\d+) and (\d+)/.exec(prompt)!.slice(1).map(Number);
      return `Let's go back to where we missed ${numbers.reduce((sum, number) => sum + number)}.`;
    });
    expect(flawsOf(await treesBy(knows, await variant()))).toEqual(['narration: the right answer was given away']);
  });
});

describe('a judge', () => {
  const votes = (vote: (request: TextRequest) => string) =>
    answering((request, prompt) => (prompt.includes('<solution>') ? vote(request) : undefined));

  it('that approves of nothing leaves no trace, and no narrator is asked', async () => {
    const plan = await variant();
    const trees = await treesBy(
      votes(() => 'Luck.\nVERDICT: bad'),
      plan,
    );
    const judged = trees.filter(({ counts }) => counts.judged > 0);
    expect(judged.length).toBeGreaterThan(2);
    for (const { invalid, counts } of judged) {
      expect(invalid).toBe('no approved correct answer');
      expect(counts).toMatchObject({ approved: 0, unreadVotes: 0, narrated: 0 });
    }
    expect((await answersOf(lab, plan)).every(({ callId }) => callId.includes('/judge/'))).toBe(true);
  });

  it('without verdicts approves of nothing either, and its votes are counted as unread', async () => {
    const trees = await treesBy(
      votes(() => 'Looks fine to me!'),
      await variant(),
    );
    expect(trees.some(({ counts }) => counts.votes > 0)).toBe(true);
    for (const { counts } of trees) expect(counts).toMatchObject({ unreadVotes: counts.votes, approved: 0 });
  });

  it('alone votes on traces that templates write, for any task', async () => {
    const roles = { judge: { model: { kind: 'scripted' as const }, votes: 3, accept: 'majority' as const } };
    const plan = await lab.plan({ ...tinyRun, roles });
    await searchAll(lab, plan);
    const funnel = await linearizeAll(lab, plan);
    expect(funnel.language).toMatchObject({ narrated: 0, votes: funnel.language!.judged * 3 });
    for (const row of await rowsOf(plan)) {
      expect(row.roles).toEqual({ policy: 'scripted-base', judge: 'scripted', narrator: 'templates' });
      expect(row.votes!.good).toBeGreaterThan(1);
      expect(row.text).toMatch(/Answer boxed/);
    }
  });
});

describe('a tree that was given up', () => {
  it('is counted with its reason, and the others go on', async () => {
    const plan = await variant();
    const { slugs } = await lab.call('readTreesPage', { plan: plan.linearize, first: 0 });
    const [lost = '', ...rest] = slugs;
    for (const slug of rest) await lab.call('narrateTree', { plan: spoken(plan), slug });
    await lab.call('linearizePage', { plan: plan.linearize, first: 0, failures: { [lost]: 'its server is gone' } });
    const { rejected } = await linearizeAll(lab, plan);
    expect(rejected['narration failed: its server is gone']).toBe(1);
  });
});

describe('the scripted model', () => {
  it('keeps a journal of what it served', async () => {
    const model = scriptedTextModel();
    const request = { attempt: 1, messages: [], n: 2, maxTokens: 100, temperature: 1, seed: 1 };
    const { signal } = new AbortController();
    const { usage } = await model.ask({ ...request, callId: 'linearize/k/judge/a' }, signal);
    await model.ask({ ...request, callId: 'linearize/k/narrate/a' }, signal);
    const served = await model.served('linearize/k/judge/', signal);
    expect(served).toEqual({ calls: 1, tokens: usage.completionTokens });
  });

  it('is cut off at the token limit', async () => {
    const request = { callId: 'c', attempt: 1, n: 1, temperature: 1, seed: 1 };
    const messages = [{ role: 'user' as const, content: '<step>\none two three four five\n</step>' }];
    const { texts } = await scriptedTextModel().ask(
      { ...request, messages, maxTokens: 3 },
      new AbortController().signal,
    );
    expect(texts[0]?.stopReason).toBe('length');
  });
});
