import type { Account, ServedCall, Unit } from './types.ts';

/** The call that a request belongs to: a call may need several, with ids below its own. */
export function callOf(requestId: string): string {
  return requestOf(requestId).replace(/(\/prompt-\d+)?(\/more-\d+)?(\/logprobs)?$/, '');
}

/** The request that an id is a try of: what failed at one server is asked of another one, as `<id>/again-1`. */
export function requestOf(tryId: string): string {
  return tryId.replace(/\/again-\d+$/, '');
}

/** Which try of its request an id is, from 0. */
export function tryOf(tryId: string): number {
  return Number(/\/again-(\d+)$/.exec(tryId)?.[1] ?? 0);
}

export interface UnitServings {
  unit: Unit;
  /** Calls of the stored object that lie under the unit's own prefix; null: it is not stored. */
  calls: string[] | null;
  /** In the order served. */
  servings: ServedCall[];
}

/** What was served for every unit, and what belongs to none. */
export function byUnit({ units, served }: Account): { of: UnitServings[]; strangers: ServedCall[] } {
  const unitAt = new Map(units.map((unit) => [unit.prefix, unit]));
  const servings = new Map<Unit, ServedCall[]>(units.map((unit) => [unit, []]));
  const strangers: ServedCall[] = [];
  for (const serving of served ?? []) {
    const unit = unitOf(callOf(serving.id), unitAt);
    (unit === null ? strangers : (servings.get(unit) ?? [])).push(serving);
  }
  const of = [...servings].map(([unit, list]) => ({
    unit,
    calls: unit.calls?.filter((call) => unitOf(call, unitAt) === unit) ?? null,
    servings: list,
  }));
  return { of, strangers };
}

/** The unit whose prefix is the longest: the id itself, or the id up to one of its slashes, with or without it. */
function unitOf(call: string, unitAt: ReadonlyMap<string, Unit>): Unit | null {
  for (let end = call.length; end > 0; end = call.lastIndexOf('/', end - 2) + 1) {
    const beforeSlash = call[end - 1] === '/' ? unitAt.get(call.slice(0, end - 1)) : undefined;
    const unit = unitAt.get(call.slice(0, end)) ?? beforeSlash;
    if (unit !== undefined) return unit;
  }
  return null;
}
