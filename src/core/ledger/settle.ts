import { addUsage, noUsage, type Usage } from '../usage.ts';
import type { Account, LedgerError, ServedCall, Tally, WasteReason } from './types.ts';
import { byUnit, callOf, requestOf, tryOf, type UnitServings } from './units.ts';

export interface Settlement {
  total: Tally;
  /** By part, in the order of the units; calls of no unit under `?`. */
  parts: Map<string, Tally>;
  wastedBy: Partial<Record<WasteReason, Usage>>;
  errors: LedgerError[];
}

type Fate = 'credited' | 'open' | WasteReason;

/** What became of a serving, and why that is an error if it is one. */
interface Verdict {
  fate: Fate;
  problem?: string;
}

/**
 * Joins what a service served with what is stored, by the calls' ids. Seeds follow from a call's place in the run, so
 * two attempts of one call are equal and it does not matter whose answer was stored: each credited call credits one
 * serving. What was served beside it must have a reason.
 */
export function settle(account: Account): Settlement {
  const { units, served } = account;
  const errors = [...twiceCredited(account), ...neverServed(account)];
  const parts = new Map<string, Tally>();
  const wastedBy: Settlement['wastedBy'] = {};
  const isKnown = served !== null;
  const nothing: Tally = { credited: noUsage, wasted: noUsage, open: isKnown ? noUsage : null, estimated: !isKnown };
  const enter = (part: string, of: Partial<Tally>) =>
    parts.set(part, addTallies(parts.get(part) ?? nothing, { ...nothing, ...of }));

  for (const { part, calls, usage } of units) enter(part, isKnown || calls === null ? {} : { credited: usage });
  for (const { part, usage } of isKnown ? [] : (account.lost ?? [])) enter(part, { wasted: usage });
  const { of, strangers } = byUnit(account);
  const judged = of.flatMap((its) => {
    const verdicts = judge(its, account);
    return its.servings.map((serving, i) => ({ part: its.unit.part, serving, verdict: verdicts[i] as Verdict }));
  });
  for (const serving of strangers) {
    const problem = 'no part of the stage makes such a call';
    judged.push({ part: '?', serving, verdict: { fate: 'unexplained', problem } });
  }
  for (const { part, serving, verdict } of judged) {
    const { fate, problem } = verdict;
    const cost = { calls: 1, promptTokens: serving.promptTokens, completionTokens: serving.completionTokens };
    const isUse = fate === 'credited' || fate === 'open';
    enter(part, { [isUse ? fate : 'wasted']: cost });
    if (!isUse) wastedBy[fate] = addUsage(wastedBy[fate] ?? noUsage, cost);
    if (problem === undefined) continue;
    const asker = `attempt ${serving.attempt} of ${serving.activity || 'an unknown activity'}`;
    errors.push({
      kind: 'unexplained',
      ...stageOf(account),
      call: serving.id,
      message: `served to ${asker}: ${problem}`,
    });
  }
  return { total: [...parts.values()].reduce(addTallies, nothing), parts, wastedBy, errors };
}

/** A sum of which one part is not known is not known, and of which one is estimated is. */
export function addTallies(a: Tally, b: Tally): Tally {
  return {
    credited: addUsage(a.credited, b.credited),
    wasted: addUsage(a.wasted, b.wasted),
    open: a.open === null || b.open === null ? null : addUsage(a.open, b.open),
    estimated: a.estimated || b.estimated,
  };
}

function judge({ unit, calls, servings }: UnitServings, { finished }: Account): Verdict[] {
  const author = calls === null ? null : authorOf(calls, servings);
  const credits = new Set(calls);
  const lastTries = lastTriesOf(servings);
  const seen = new Set<string>();
  /** Requests credited where no attempt got all of the unit's answers. */
  const stoodFor = new Set<string>();
  return servings.map((serving): Verdict => {
    const { id, delivered } = serving;
    if (!delivered) return { fate: 'client gone' };
    const asked = `${askerOf(serving)} ${id}`;
    if (seen.has(asked)) {
      if (callOf(id) !== id) return { fate: 'asked again' };
      return { fate: 'unexplained', problem: 'it had the answer already, and an attempt asks for a call once' };
    }
    seen.add(asked);
    // It was answered again elsewhere, so this answer was lost on its way.
    if (tryOf(id) < (lastTries.get(`${askerOf(serving)} ${requestOf(id)}`) ?? 0)) return { fate: 'asked again' };
    if (calls === null) return { fate: finished ? 'given up' : 'open' };
    const isNamed = credits.has(callOf(id));
    if (unit.givenUp?.includes(callOf(id))) return { fate: 'given up' };
    if (author === null && isNamed && !stoodFor.has(requestOf(id))) {
      stoodFor.add(requestOf(id));
      return { fate: 'credited' };
    }
    const isOthers = isNamed || unit.elsewhere || unit.givenUp !== undefined;
    if (author === null ? isOthers : askerOf(serving) !== author) return { fate: 'another attempt' };
    if (isNamed) return { fate: 'credited' };
    return { fate: 'unexplained', problem: `${unit.result} does not name it` };
  });
}

/** The last try of each request that an asker was answered, where one server after another was asked. */
function lastTriesOf(servings: readonly ServedCall[]): Map<string, number> {
  const last = new Map<string, number>();
  for (const serving of servings.filter(({ delivered }) => delivered)) {
    const request = `${askerOf(serving)} ${requestOf(serving.id)}`;
    last.set(request, Math.max(last.get(request) ?? 0, tryOf(serving.id)));
  }
  return last;
}

/**
 * The attempt whose answers a stored object can hold: of those that were given all of them the one that was given most
 * requests (one that died between two requests of a call has had fewer), and the first of equal ones.
 */
function authorOf(calls: readonly string[], servings: readonly ServedCall[]): string | null {
  const had = new Map<string, Set<string>>();
  for (const serving of servings.filter(({ delivered, id }) => delivered && calls.includes(callOf(id)))) {
    const asker = askerOf(serving);
    had.set(asker, (had.get(asker) ?? new Set()).add(requestOf(serving.id)));
  }
  const isComplete = (ids: ReadonlySet<string>) => new Set([...ids].map(callOf)).size === new Set(calls).size;
  const [author] = [...had].filter(([, ids]) => isComplete(ids)).sort(([, a], [, b]) => b.size - a.size);
  return author?.[0] ?? null;
}

function neverServed(account: Account): LedgerError[] {
  if (account.served === null) return [];
  const delivered = new Set(account.served.filter((serving) => serving.delivered).map(({ id }) => callOf(id)));
  const error = (call: string, message: string): LedgerError => ({
    kind: 'never served',
    ...stageOf(account),
    call,
    message,
  });
  return byUnit(account).of.flatMap(({ unit, calls, servings }) => {
    const absent = (unit.calls ?? []).filter((call) => !delivered.has(call));
    const errors = absent.map((call) =>
      error(call, `${unit.result} was made of it, and the journal has no answer to it`),
    );
    const [first] = calls ?? [];
    if (errors.length === 0 && first !== undefined && authorOf(calls ?? [], servings) === null)
      errors.push(error(first, `${unit.result} was made of answers that no single attempt was given`));
    return errors;
  });
}

function twiceCredited(account: Account): LedgerError[] {
  const first = new Map<string, string>();
  const errors: LedgerError[] = [];
  for (const { result, calls } of account.units) {
    for (const call of calls ?? []) {
      const other = first.get(call);
      const message = other === result ? `${result} names it twice` : `by ${other} and by ${result}`;
      if (other !== undefined) errors.push({ kind: 'credited twice', ...stageOf(account), call, message });
      else first.set(call, result);
    }
  }
  return errors;
}

const stageOf = ({ stage, arm }: Account) => ({ stage, ...(arm !== undefined && { arm }) });

const askerOf = ({ activity, attempt }: ServedCall) => `${activity} ${attempt}`;
