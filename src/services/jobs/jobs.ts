/**
 * A place where programs run that outlive the worker which started them: a Ray cluster, a Slurm cluster, this machine.
 * A job's id is chosen by the caller, who can so ask for it again after a crash: submitting an id twice starts one job.
 */
export interface JobBackend {
  /** Starts the job unless one with its id exists. @throws ServiceError */
  submit(spec: JobSpec, signal: AbortSignal): Promise<void>;
  /** Null where no job has the id. @throws ServiceError */
  get(id: string, signal: AbortSignal): Promise<JobState | null>;
  /** What the program has written from a position on, and the position behind it (0 at first). */
  logs(id: string, after: number, signal: AbortSignal): Promise<{ text: string; next: number }>;
  /** Ends the job with all its processes. One that has ended or never was is left alone. */
  stop(id: string, signal: AbortSignal): Promise<void>;
}

export interface JobSpec {
  /** Of a-z, A-Z, 0-9, ".", "_", "-". */
  id: string;
  /** Program and arguments, no shell. */
  command: readonly string[];
  /** Added to the environment that the job would have anyway. */
  env: Readonly<Record<string, string>>;
  /** Working folder, absolute, on storage that the worker shares: what the job reads and writes lies below it. */
  folder: string;
  resources: { cpus?: number; gpus?: number };
}

export type JobStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'stopped';

export interface JobState {
  status: JobStatus;
  /** The backend's words, for people. */
  message: string;
  exitCode: number | null;
  /**
   * Why it failed: the `program` ended by itself with an error, which it would do again; or the machine under it went
   * away (`infrastructure`), which is worth another try.
   */
  cause: 'program' | 'infrastructure' | null;
}
