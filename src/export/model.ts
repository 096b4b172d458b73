import { constants, existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plan } from '../config/plan.ts';
import type { PolicyConfig } from '../config/schema.ts';
import { patiently, realSleep } from '../services/openai/patience.ts';
import type { Trainer } from '../services/trainer/trainer.ts';
import type { NamedCheckpoint } from './checkpoints.ts';
import { ExportError, type Part } from './folder.ts';
import { modelCard } from './model-card.ts';
import { runPython } from './python.ts';
import { findWeights } from './weights.ts';

export interface ModelOptions {
  trainer: Trainer;
  /** Where the bundled engine keeps its checkpoints on this machine. */
  engineCheckpoints: string;
  /** The base of an adapter, instead of what the configuration says: a folder, or a hub's name. */
  base?: string | undefined;
  /** Merge an adapter into its base. */
  merge: boolean;
  /** A Python with peft, for that. */
  python: string;
  signal: AbortSignal;
}

export interface ModelPart extends Part {
  checkpoint: string;
  /** `adapter`: a PEFT folder, which needs its base. */
  kind: 'model' | 'adapter' | 'merged';
  final: boolean;
}

/** A large base is read, added to and written. */
const MERGE_MS = 3 * 3_600_000;

/** Of a checkpoint's folder, what is no part of a model. */
const notModel = /^(\..*|meta\.json|optimizer\..*|scheduler\..*|rng_state.*|trainer_state\.json|training_args\.bin)$/;

/** What `AutoTokenizer` reads; a checkpoint without them has the policy's own. */
const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
];

const packageRoot = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Writes a checkpoint's weights into a folder that `transformers` (or, for an adapter, `peft`) loads, with tokenizer and
 * chat template.
 *
 * @throws ExportError, ServiceError
 */
export async function exportModel(
  plan: Plan,
  named: NamedCheckpoint,
  options: ModelOptions,
  folder: string,
): Promise<ModelPart> {
  const { policy } = plan.search;
  const downloads = await mkdtemp(join(folder, '.downloads-'));
  try {
    const weights = await patiently(
      () => findWeights(named.checkpoint, policy, options, downloads),
      realSleep,
      options.signal,
    );
    const moves = weights.startsWith(downloads);
    for (const name of await readdir(weights)) {
      if (notModel.test(name)) continue;
      const [from, to] = [join(weights, name), join(folder, name)];
      // A download is ours, and may be too large to be there twice. Files of a hub's cache are links into it.
      if (moves) await rename(from, to);
      else await cp(from, to, { recursive: true, dereference: true, mode: constants.COPYFILE_FICLONE });
    }
  } finally {
    await rm(downloads, { recursive: true, force: true });
  }
  const tokenizer = policy.tokenizer === 'bytes' ? null : resolve(packageRoot, policy.tokenizer);
  let kind = kindOf(folder);
  if (kind === 'adapter') {
    const base = await setBase(folder, options.base, baseOf(policy, tokenizer));
    if (options.merge) {
      await merge(folder, base, options);
      kind = 'merged';
    }
  }
  if (tokenizer !== null) await addTokenizer(tokenizer, folder);
  await writeFile(join(folder, 'README.md'), modelCard(plan, named, kind));
  return { checkpoint: named.checkpoint.id, kind, final: named.final };
}

function kindOf(folder: string): ModelPart['kind'] {
  if (existsSync(join(folder, 'adapter_config.json'))) return 'adapter';
  if (existsSync(join(folder, 'config.json'))) return 'model';
  throw new ExportError('The checkpoint that came has neither a config.json nor an adapter_config.json: no model.');
}

/** What an adapter was trained on, as this machine knows it: the policy's own folder, where that holds weights too. */
function baseOf(policy: PolicyConfig, tokenizer: string | null): string {
  const weights = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'];
  const isModel = tokenizer !== null && weights.some((name) => existsSync(join(tokenizer, name)));
  return isModel ? tokenizer : policy.base;
}

/** What is asked for, else the folder that the trainer itself names, if it is here, else what is configured. */
async function setBase(folder: string, asked: string | undefined, configured: string): Promise<string> {
  const file = join(folder, 'adapter_config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as { base_model_name_or_path?: string | null };
  const own = config.base_model_name_or_path;
  const base = asked ?? (own && isAbsolute(own) && existsSync(own) ? own : configured);
  await writeFile(file, `${JSON.stringify({ ...config, base_model_name_or_path: base }, null, 2)}\n`);
  return base;
}

/** In place: the adapter goes, the whole model comes. */
async function merge(folder: string, base: string, { python, signal }: ModelOptions): Promise<void> {
  const adapter = await mkdtemp(join(tmpdir(), 'astroflow-adapter-'));
  try {
    await cp(folder, adapter, { recursive: true });
    await rm(folder, { recursive: true });
    await mkdir(folder);
    const input = { base, adapter, out: folder };
    const packages = 'peft transformers torch';
    await runPython({ python, program: 'merge_adapter.py', packages, input, deadlineMs: MERGE_MS, signal });
  } finally {
    await rm(adapter, { recursive: true, force: true });
  }
}

async function addTokenizer(from: string, folder: string): Promise<void> {
  for (const name of tokenizerFiles)
    if (existsSync(join(from, name)) && !existsSync(join(folder, name)))
      await copyFile(join(from, name), join(folder, name));
}
