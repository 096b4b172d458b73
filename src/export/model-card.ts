import type { Plan } from '../config/plan.ts';
import type { NamedCheckpoint } from './checkpoints.ts';
import type { ModelPart } from './model.ts';

/** `README.md` of a model folder: what it is, and how it is loaded. */
export function modelCard(plan: Plan, { name, checkpoint, final }: NamedCheckpoint, kind: ModelPart['kind']): string {
  const { policy, task } = plan.search;
  const load =
    kind === 'adapter'
      ? `from peft import AutoPeftModelForCausalLM
model = AutoPeftModelForCausalLM.from_pretrained(FOLDER)`
      : `from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(FOLDER)`;
  const is = {
    model: 'All weights.',
    adapter: 'A PEFT adapter: it needs its base.',
    merged: 'An adapter merged into its base.',
  };
  return `# \`${name}\` of the Astroflow run ${plan.run}

${is[kind]} Checkpoint \`${checkpoint.id}\`${final ? '' : ', on the way: the training of this arm goes on behind it'}.

- Base: \`${policy.base}\`, revision \`${policy.revision}\`. Its licence is this model's.
- Task: \`${task.name}\`. Prompts: ${policy.template === 'chat' ? "the tokenizer's chat template." : "the messages' texts, joined, without a template or special tokens."}

\`\`\`python
${load}
\`\`\`
`;
}
