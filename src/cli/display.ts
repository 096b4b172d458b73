import type { Progress } from '../core/progress.ts';
import { logLine, notices, renderProgress } from './progress.ts';

/** Shows progress as it comes. */
export interface Display {
  update(progress: Progress): void;
  /** A line that stays. */
  print(text: string): void;
  /** The progress stays as it stands; what is printed from now on follows it. */
  finish(): void;
}

/** Without a terminal: a line at every change of a stage's state, and now and then for what is running. */
const quietMs = 15_000;

export function createDisplay(out: NodeJS.WriteStream, now: () => number = Date.now): Display {
  return out.isTTY ? terminalDisplay(out, now) : logDisplay(out, now);
}

/** Redraws its lines in place. */
function terminalDisplay(out: NodeJS.WriteStream, now: () => number): Display {
  const color = out.hasColors?.() ?? false;
  let drawn = 0;
  let last: Progress | null = null;
  const clear = () => (drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`);
  const draw = (progress: Progress, before: string) => {
    // One column less, so that no line wraps; no more lines than the screen has, or they could not be taken back.
    const lines = renderProgress(progress, { nowMs: now(), width: (out.columns || 80) - 1, color });
    const shown = lines.slice(0, Math.max(1, (out.rows || 24) - 1));
    out.write(`${clear()}${before}${shown.map((line) => `${line}\n`).join('')}`);
    drawn = shown.length;
  };
  return {
    update(progress) {
      last = progress;
      draw(progress, '');
    },
    print(text) {
      if (last === null) out.write(`${text}\n`);
      else draw(last, `${text}\n`);
    },
    finish() {
      last = null;
      drawn = 0;
    },
  };
}

function logDisplay(out: NodeJS.WriteStream, now: () => number): Display {
  const seen = new Map<string, { state: string; atMs: number }>();
  let noticed = '';
  return {
    update(progress) {
      for (const stage of progress.stages) {
        const key = `${stage.name} ${stage.arm ?? ''}`;
        const before = seen.get(key) ?? { state: 'waiting', atMs: 0 };
        const due = stage.state === 'running' && now() - before.atMs >= quietMs;
        if (stage.state === before.state && !due) continue;
        seen.set(key, { state: stage.state, atMs: now() });
        out.write(`${logLine(stage, now())}\n`);
      }
      const notice = notices(progress)
        .map((line) => `${line}\n`)
        .join('');
      if (notice !== noticed) out.write(notice);
      noticed = notice;
    },
    print: (text) => void out.write(`${text}\n`),
    finish: () => {},
  };
}
