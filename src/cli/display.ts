import type { Progress } from '../core/progress.ts';
import { logLine, notices, renderProgress, shorten } from './progress.ts';

/** Shows progress as it comes. */
export interface Display {
  update(progress: Progress): void;
  /** Lines under the progress, until there are others: what it costs. */
  foot(lines: readonly string[]): void;
  /** A line that stays. */
  print(text: string): void;
  /** The progress stays as it stands; what is printed from now on follows it. */
  finish(): void;
}

/** Without a terminal: a line at every change of a stage's state, and now and then for what is running. */
const quietMs = 15_000;

export function createDisplay(out: NodeJS.WriteStream, now: () => number = Date.now, term = process.env.TERM): Display {
  // A dumb terminal cannot take lines back.
  return out.isTTY && term !== 'dumb' ? terminalDisplay(out, now) : logDisplay(out, now);
}

/** Redraws its lines in place. */
function terminalDisplay(out: NodeJS.WriteStream, now: () => number): Display {
  const color = out.hasColors?.() ?? false;
  let drawn = 0;
  let last: Progress | null = null;
  let under: readonly string[] = [];
  const clear = () => (drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`);
  const draw = (progress: Progress, before: string) => {
    // One column less, so that no line wraps; no more lines than the screen has, or they could not be taken back.
    const width = Math.max(1, (out.columns || 80) - 1);
    const height = Math.max(1, (out.rows || 24) - 1);
    const foot = under.map((line) => shorten(line, width)).slice(0, Math.max(0, height - 1));
    const lines = renderProgress(progress, { nowMs: now(), width, height: height - foot.length, color });
    const shown = [...lines, ...foot].slice(0, height);
    out.write(`${clear()}${before}${shown.map((line) => `${line}\n`).join('')}`);
    drawn = shown.length;
  };
  return {
    update(progress) {
      last = progress;
      draw(progress, '');
    },
    foot(lines) {
      under = lines;
      if (last !== null) draw(last, '');
    },
    print(text) {
      if (last === null) out.write(`${text}\n`);
      else draw(last, `${text}\n`);
    },
    finish() {
      last = null;
      under = [];
      drawn = 0;
    },
  };
}

function logDisplay(out: NodeJS.WriteStream, now: () => number): Display {
  const seen = new Map<string, { state: string; atMs: number }>();
  let noticed = '';
  let under: readonly string[] = [];
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
    foot(lines) {
      under = lines;
    },
    print: (text) => void out.write(`${text}\n`),
    finish() {
      for (const line of under) out.write(`${line}\n`);
      under = [];
    },
  };
}
