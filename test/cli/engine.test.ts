import { describe, expect, it } from 'vitest';
import { serverArguments } from '../../src/cli/dev-server.ts';
import { engineArguments, readyUrl } from '../../src/cli/engine.ts';

describe('starting the engine', () => {
  it('waits for its ready line among anything else it prints', () => {
    expect(readyUrl('{"ready":true,"url":"http://127.0.0.1:5"}')).toBe('http://127.0.0.1:5');
    for (const line of ['', 'loading', '{"ready":false,"url":"x"}', '{"ready":true}', '{oops'])
      expect(readyUrl(line)).toBeNull();
  });

  it('binds to loopback and tells whose child it is', () => {
    const line = engineArguments({ data: '/d', logFile: '/l' }).join(' ');
    expect(line).toBe(
      `-m engine --model engine/base/model --data /d --host 127.0.0.1 --port 0 --threads 2 --parent-pid ${process.pid}`,
    );
  });
});

describe('starting the dev server', () => {
  it('gives it the search attribute that finds the runs which ask', () => {
    expect(serverArguments({ port: 1, uiPort: 2 }).join(' ')).toContain('--search-attribute AstroAttention=Bool');
  });

  it('keeps its state in a file only when asked, without a flush per transaction', () => {
    expect(serverArguments({ port: 1, uiPort: 2 })).not.toContain('--db-filename');
    expect(serverArguments({ port: 1, uiPort: 2, database: 'f' }).join(' ')).toContain(
      '--db-filename f --sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=1',
    );
  });
});
