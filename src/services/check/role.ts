import type { RoleModelConfig } from '../../config/schema.ts';
import { connectOpenAi } from '../openai/client.ts';
import { openaiChatModel } from '../text-model/openai-chat.ts';
import { type CheckRow, createFindings, unknown, yes } from './finding.ts';
import { checkModels } from './models.ts';

/** A judge or narrator: whether its model is there and answers. */
export async function checkRole(
  role: 'judge' | 'narrator',
  model: RoleModelConfig,
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
): Promise<CheckRow[]> {
  const findings = createFindings(role, deadlineMs);
  if (model.kind === 'policy') findings.add('model', yes("the policy's base"));
  else if (model.kind === 'scripted') findings.add('model', unknown('scripted: there is nothing to ask'));
  else {
    const of = { name: `the ${role} (roles.${role}.model)`, path: `roles.${role}.model` };
    const connection = () => connectOpenAi(model, env, of);
    if (!(await checkModels(findings, { connection, of, model: model.model }))) return findings.rows;
    await findings.probe('answers', async (signal) => {
      const messages = [{ role: 'user' as const, content: 'Answer with one word: what is two and two?' }];
      const asked = { callId: 'check', attempt: 1, messages, n: 2, maxTokens: 64, temperature: 1, seed: 1 };
      const { texts, usage } = await openaiChatModel(model, env).ask(asked, signal);
      const text = (texts[0]?.text ?? '').replace(/\s+/g, ' ').trim().slice(0, 40);
      return yes(`"${text}"${usage.calls > 1 ? ', one answer a request' : ''}`);
    });
  }
  return findings.rows;
}
