import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

interface RayJob {
  entrypoint: string;
  child: ChildProcess;
  status: string;
  error_type: string | null;
  driver_exit_code: number | null;
  message?: string;
  logs: string;
}

const NODE = '6291da79f72641c0';

export interface RayDouble {
  address: string;
  headers: IncomingHttpHeaders[];
  submissions: Record<string, unknown>[];
  /** The next submission is carried out, and its answer is lost. */
  dropNextAnswer(): void;
  /** A job ends as Ray words it. */
  fail(id: string, errorType: string, more?: { message: string; driver_exit_code: number }): void;
  /** The next request to stop a job comes before Ray has made the job's supervisor. */
  stopEarly(): void;
  /** More of its log. */
  write(id: string, text: string): void;
  /** The next submission is answered by HTTP 500 and this text. */
  refuse(text: string): void;
  close(): Promise<void>;
}

/**
 * Ray's job server as its releases behave (2.58 to 2.60): entrypoints run for real in a shell; a second job of one id
 * is answered by HTTP 500 with a traceback in a sentence; errors are plain text; a log begins with the entrypoint;
 * stopping takes its time; what may come from a browser changes nothing.
 */
export async function rayDouble(options: { token?: string } = {}): Promise<RayDouble> {
  const jobs = new Map<string, RayJob>();
  const headers: IncomingHttpHeaders[] = [];
  const submissions: Record<string, unknown>[] = [];
  let drop = false;
  let refusal: string | null = null;
  let early = false;

  function start(body: Record<string, unknown>): void {
    const { env_vars } = (body.runtime_env ?? {}) as { env_vars?: Record<string, string> };
    const child = spawn('/bin/sh', ['-c', String(body.entrypoint)], {
      detached: true,
      env: { ...process.env, ...env_vars },
    });
    const job: RayJob = {
      entrypoint: String(body.entrypoint),
      child,
      status: 'RUNNING',
      error_type: null,
      driver_exit_code: null,
      logs: `2026-11-27 09:37:31,625\tINFO job_manager.py:581 -- Runtime env is setting up.\nRunning entrypoint for job ${body.submission_id}: ${body.entrypoint}\n`,
    };
    const collect = (data: Buffer) => {
      job.logs += data.toString();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    child.on('close', (code, signal) => {
      job.driver_exit_code = code ?? (signal === 'SIGKILL' ? -9 : -15);
      if (job.status === 'STOPPING') job.status = 'STOPPED';
      else job.status = code === 0 ? 'SUCCEEDED' : 'FAILED';
      if (job.status === 'FAILED') job.error_type ??= 'JOB_ENTRYPOINT_COMMAND_ERROR';
    });
    jobs.set(String(body.submission_id), job);
  }

  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    headers.push(request.headers);
    const say = (status: number, body: string | object) => {
      response.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`)
      return say(401, 'Unauthorized: missing authentication token');
    if (request.method !== 'GET' && request.headers['sec-fetch-mode'] !== undefined)
      return say(405, `'${request.method}' method not allowed for browser traffic.`);
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://ray');
    if (pathname === '/api/v0/logs/file') {
      const file = searchParams.get('node_id') === NODE ? searchParams.get('filename') : null;
      const job = jobs.get(/^job-driver-(.*)\.log$/.exec(file ?? '')?.[1] ?? '');
      if (job === undefined) return say(500, `A file is not found at: /tmp/ray/${file}`);
      const lines = job.logs.trimEnd().split('\n');
      return say(200, `${lines.slice(-Number(searchParams.get('lines'))).join('\n')}\n`);
    }
    const [, , , id = '', action] = pathname.split('/');
    if (request.method === 'POST' && id === '') {
      const body = JSON.parse(text) as Record<string, unknown>;
      submissions.push(body);
      if (refusal !== null) {
        say(500, refusal);
        refusal = null;
        return;
      }
      const taken = `Traceback (most recent call last):\n  File "job_head.py"\nValueError: Job with submission_id ${body.submission_id} already exists. Please use a different submission_id.\n.`;
      if (jobs.has(String(body.submission_id))) return say(500, taken);
      start(body);
      if (!drop) return say(200, { job_id: body.submission_id, submission_id: body.submission_id });
      drop = false;
      return request.socket.destroy();
    }
    const job = jobs.get(decodeURIComponent(id));
    if (job === undefined) return say(404, `Job ${id} does not exist`);
    if (action === 'logs') return say(200, { logs: job.logs });
    if (action === 'stop') {
      if (early) {
        early = false;
        return say(200, { stopped: false });
      }
      job.status = 'STOPPING';
      process.kill(-(job.child.pid ?? 0), 'SIGTERM');
      return say(200, { stopped: true });
    }
    const { error_type, driver_exit_code } = job;
    const status = job.status === 'STOPPING' ? 'RUNNING' : job.status;
    return say(200, {
      type: 'SUBMISSION',
      submission_id: id,
      status,
      message: job.message ?? `Job is ${status}.`,
      error_type,
      driver_exit_code,
      driver_node_id: NODE,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    headers,
    submissions,
    dropNextAnswer() {
      drop = true;
    },
    stopEarly() {
      early = true;
    },
    refuse(text) {
      refusal = text;
    },
    write(id, text) {
      const job = jobs.get(id);
      if (job !== undefined) job.logs += text;
    },
    fail(id, errorType, more = { message: `Job failed: ${errorType}.`, driver_exit_code: 0 }) {
      const job = jobs.get(id);
      if (job === undefined) throw new Error(`no job ${id}`);
      job.child.removeAllListeners('close');
      if (job.child.pid !== undefined) process.kill(-job.child.pid, 'SIGKILL');
      Object.assign(job, { status: 'FAILED', error_type: errorType, ...more });
    },
    async close() {
      for (const { child } of jobs.values()) {
        if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
          process.kill(-child.pid, 'SIGKILL');
      }
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
