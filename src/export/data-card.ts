import type { Plan } from '../config/plan.ts';
import type { RunConfig } from '../config/schema.ts';
import { type Columns, typeText } from './columns.ts';
import type { WrittenRows } from './write-rows.ts';

/** A set of rows that was written, for its card. */
export interface RowSet {
  /** Also its files' name: `sft-search`. */
  name: string;
  /** What a row is. */
  about: string;
  columns: Columns;
  written: WrittenRows;
}

/** The data sets that come with Astroflow (`data/README.md`). */
const shipped: Record<string, string> = {
  'data/game24.jsonl': 'MIT License, copyright (c) 2023 Shunyu Yao (princeton-nlp/tree-of-thought-llm)',
  'data/gsm8k-train.jsonl': 'MIT License, copyright (c) 2021 OpenAI (openai/grade-school-math)',
  'data/gsm8k-test.jsonl': 'MIT License, copyright (c) 2021 OpenAI (openai/grade-school-math)',
};

const what: Record<string, string> = {
  messages: 'the conversation; its last message is what the model learns to write, after what the prompt began of it',
  problem_id: 'the problem, as everywhere in the run',
  family: 'problems of one family are the same in other words or another order',
  arm: 'the arm; among SFT rows: `search` texts go back, `direct` ones do not',
  backtracks: 'how often the text goes back',
  planned_backtracks: 'how often its linearisation does: the same number',
  tree: 'the search tree that the text was read from',
  policy: 'the model whose steps these are',
  narrator: 'what wrote the sentences between them',
  judge: 'what said that the right solution is sound',
  prompt: "what is answered: messages for verl, else the very text, the template's tokens included",
  prompt_ids: 'the prompt as the policy sees it',
  completion: 'what the model answered',
  completion_ids: 'what it wrote or learns to write; an SFT row ends in the end-of-text token',
  logprobs: 'log-probability of each completion token as it was sampled',
  data_source: 'the task',
  ability: 'the task',
  reward_model: '`ground_truth` is the whole problem, by which `astroflow reward` grades answers',
  extra_info: 'where the prompt stands',
  iteration: 'from 0',
  group: 'answers of one group answer one prompt of the iteration',
  sample: 'number of the answer in its group',
  policy_version: 'the model that answered',
  temperature: 'of sampling',
  max_tokens: 'of sampling',
  seed: 'of the call',
  reward: 'what the answer was paid',
  advantage: "reward minus the mean reward of the answer's group",
  verdict: '`correct` is null where the checker could not decide',
  grader_version: "the task's version, whose checker graded",
  truncated: 'whether it was cut off at the token limit',
  call_id: 'the call, as in the ledger',
  attempt: 'attempt of the activity that made the call, from 1',
};

/** `README.md` beside the rows: for people, and (its head) for `datasets.load_dataset(FOLDER, NAME)`. */
export function dataCard(plan: Plan, config: RunConfig, sets: readonly RowSet[], missing: readonly string[]): string {
  return `---
pretty_name: ${JSON.stringify(`Astroflow run ${plan.run}`)}
tags: [astroflow, reasoning]
configs:
${sets.map(({ name }) => `- config_name: ${name}\n  data_files: ${name}.parquet`).join('\n')}
---

# Rows of the Astroflow run ${plan.run}

Task \`${plan.search.task.name}\`, policy \`${plan.search.policy.base}\` (revision \`${plan.search.policy.revision}\`, template
\`${plan.search.policy.template}\`), seed ${plan.seed}. Each set is there twice, with the same rows: as JSON Lines and as Parquet.

| set | rows | a row is |
| --- | ---: | --- |
${sets.map(({ name, about, written }) => `| \`${name}\` | ${written.rows.toLocaleString('en')} | ${about} |`).join('\n')}
${missing.length === 0 ? '' : `\nNot there yet: ${missing.join('; ')}.\n`}
${sets
  .filter(({ name }, index) => sets.findIndex((one) => stageOf(one.name) === stageOf(name)) === index)
  .map(schema)
  .join('\n')}
## Where it comes from

Content keys of the stages that made the rows, as in the run's artifacts: ${keys(plan)}.

${licence(config)}
`;
}

const stageOf = (name: string) => name.replace(/-[^-]*$/, '');

function schema({ name, columns }: RowSet): string {
  const rows = Object.entries(columns).map(
    ([column, type]) => `| \`${column}\` | ${typeText(type)} | ${what[column] ?? ''} |`,
  );
  return `## Columns of \`${stageOf(name)}-…\`\n\n| column | type | what |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function keys(plan: Plan): string {
  const arms = plan.arms.map((arm) => `\`sft/${plan.sft[arm].key}\`, \`rl/${plan.rl[arm].key}\``);
  return [`\`search/${plan.search.key}\``, `\`linearize/${plan.linearize.key}\``, ...arms].join(', ');
}

function licence({ search, rl, policy }: RunConfig): string {
  const files = [search.problems, rl.prompts].flatMap((source) => (source && 'file' in source ? [source.file] : []));
  const problems = [...new Set(files)].map((file) => {
    const known = shipped[file];
    return known === undefined
      ? `- \`${file}\`: your own file. Its licence is not known here: say it before you pass these rows on.`
      : `- \`${file}\`: ${known}.`;
  });
  const origin =
    problems.length > 0 ? problems : ['- The problems were generated by Astroflow: nobody has rights in them.'];
  return `## Licences

${origin.join('\n')}
- Steps and answers were written by \`${policy.base}\`, and where the configuration has other models as judge or narrator, by those
  too: their licences may say what their texts may be used for.`;
}
