import { fileURLToPath } from 'node:url';
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResourcesSync, envDetectorSync, Resource } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import {
  makeWorkflowExporter,
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
  OpenTelemetryWorkflowClientInterceptor,
} from '@temporalio/interceptors-opentelemetry';
import type { OpenTracing, Span } from './tracing.ts';

/** What is not sent by then is lost: a collector that is gone must not hold a worker's end up. */
const closeMs = 3_000;

/**
 * OpenTelemetry for this process, as its standard variables say: where to, with which headers and name, which sampler.
 * Only ever loaded where traces are on; registers itself for the process, as OpenTelemetry does.
 */
export function openTelemetry(): OpenTracing {
  const named = new Resource({ 'service.name': 'astroflow' });
  const resource = named.merge(detectResourcesSync({ detectors: [envDetectorSync] }));
  const processor = new BatchSpanProcessor(new OTLPTraceExporter());
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  // W3C trace context and baggage are the provider's own default.
  provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() });
  const tracer = provider.getTracer('astroflow');
  const starts = new OpenTelemetryWorkflowClientInterceptor();

  return {
    span: (name, attributes, run) =>
      tracer.startActiveSpan(name, { attributes }, async (own) => {
        const span: Span = {
          set: (more) => void own.setAttributes(more),
          headers() {
            const headers: Record<string, string> = {};
            propagation.inject(trace.setSpan(context.active(), own), headers);
            return headers;
          },
        };
        try {
          return await run(span);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          own.setStatus({ code: SpanStatusCode.ERROR, message });
          throw error;
        } finally {
          own.end();
        }
      }),
    worker: {
      activity: [
        (of) => ({
          inbound: new OpenTelemetryActivityInboundInterceptor(of),
          outbound: new OpenTelemetryActivityOutboundInterceptor(of),
        }),
      ],
      workflowModules: [
        fileURLToPath(import.meta.resolve('@temporalio/interceptors-opentelemetry/lib/workflow-interceptors.js')),
      ],
      sinks: { exporter: makeWorkflowExporter(processor, resource) },
    },
    // A run's trace begins with its start; who looks on afterwards, again and again, is no part of it.
    client: { workflow: [{ startWithDetails: (input, next) => starts.startWithDetails(input, next) }] },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs);
      });
      await Promise.race([provider.shutdown().catch(() => {}), late]);
      clearTimeout(timer);
    },
  };
}
