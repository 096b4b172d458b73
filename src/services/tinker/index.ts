/**
 * A client of the Tinker training API in TypeScript. Nothing here imports from outside this folder.
 *
 * @module
 */
export { type Capabilities, type KnownServer, knownServers, unknownServer } from './capabilities.ts';
export { defaultLimits, type Limits, type TinkerClient, type TinkerOptions, tinkerClient } from './client.ts';
export { connectTinker } from './detect.ts';
export { TinkerError, type TinkerErrorDetails, type TinkerErrorKind } from './errors.ts';
export * from './protocol.ts';
export { isUnknownPath } from './refusal.ts';
export type { NewSampler, SampleFrom } from './sampling-calls.ts';
export type { SessionOptions } from './service-calls.ts';
export { servingModels } from './serving.ts';
export { HEARTBEAT_MS, keepAlive, type LivingSession, livingSession } from './session.ts';
export type { NewModel, NewModelFromWeights } from './training-calls.ts';
export { type StepOutput, type TrainingModel, trainingModel } from './training-model.ts';
export type { Pending, TransportOptions } from './transport.ts';
