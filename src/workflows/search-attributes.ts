import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { searchAttributes } from '../core/search-attributes.ts';

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const runKey = keyword(searchAttributes.run);
const stageKey = keyword(searchAttributes.stage);
const modelKey = keyword(searchAttributes.model);
const attentionKey = defineSearchAttributeKey(searchAttributes.attention, SearchAttributeType.BOOL);

/**
 * Each is a command, so it is sent only where the workflow was started with the attribute and its value is another: runs
 * that began without it replay.
 */
export function markStage(stage: string): void {
  const marked = workflowInfo().typedSearchAttributes.get(stageKey);
  if (marked !== undefined && marked !== stage) upsertSearchAttributes([{ key: stageKey, value: stage }]);
}

export function markAttention(asks: boolean): void {
  const marked = workflowInfo().typedSearchAttributes.get(attentionKey);
  if (marked !== undefined && marked !== asks) upsertSearchAttributes([{ key: attentionKey, value: asks }]);
}

/** What a workflow gives to those it starts: its own run and model, and the stage they belong to. */
export function inheritedAttributes(stage: string): { typedSearchAttributes?: TypedSearchAttributes } {
  const own = workflowInfo().typedSearchAttributes;
  const pairs = [runKey, modelKey, stageKey].flatMap((key) => {
    const value = own.get(key);
    return value === undefined ? [] : [{ key, value: key === stageKey ? stage : value }];
  });
  return pairs.length === 0 ? {} : { typedSearchAttributes: new TypedSearchAttributes(pairs) };
}
