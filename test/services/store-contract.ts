import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { CorruptArtifact, NewerArtifact } from '../../src/services/store/store.ts';

/** What a store under test must let the suite do behind its back. */
export interface StoreUnderTest {
  store: ArtifactStore;
  /** Another client of the same objects, as a second worker has. */
  second: ArtifactStore;
  /** Stored bytes, as they lie there. */
  rawRead(name: string): Promise<Buffer>;
  rawWrite(name: string, bytes: Buffer): Promise<void>;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const manyRows = Array.from({ length: 5000 }, (_, index) => ({ index, text: 'Use 4 9 3 to make 39\n' }));

/** The promises of `ArtifactStore`, for every implementation. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let test: StoreUnderTest;
    let store: ArtifactStore;
    beforeEach(async () => {
      test = await open();
      store = test.store;
    });

    it('gives back a document and describes its content', async () => {
      const value = { schema: 'test/1', text: 'ünï\ncode', list: [1, 2.5, null] };
      const ref = await store.putJson('search/k/tree.json', value);
      const text = `${JSON.stringify(value)}\n`;
      expect(ref).toEqual({
        uri: 'search/k/tree.json',
        sha256: sha256(text),
        bytes: Buffer.byteLength(text),
        count: 1,
      });
      expect(await store.getJson(ref)).toEqual(value);
    });

    it('gives back rows and counts them', async () => {
      const ref = await store.putLines('linearize/k/search.jsonl', [{ a: 1 }, 'two\nlines', null]);
      expect(ref.count).toBe(3);
      expect(await store.getLines(ref)).toEqual([{ a: 1 }, 'two\nlines', null]);
    });

    it('lists what lies right below a folder', async () => {
      await store.putJson('runs/demo/plan.json', 1);
      await store.putJson('runs/second/plan.json', 1);
      await store.putLines('runs/note.jsonl', []);
      expect(await store.list('runs')).toEqual(['demo/', 'note.jsonl', 'second/']);
      expect(await store.list('runs/demo')).toEqual(['plan.json']);
      expect(await store.list('nothing')).toEqual([]);
      expect(await store.list('runs/note.jsonl')).toEqual([]);
      await expect(store.list('../runs')).rejects.toThrow(RangeError);
    });

    it('gives rows one by one, compressed or not, and null without an object', async () => {
      const read = async (name: string) => {
        const rows: unknown[] = [];
        for await (const row of (await store.readLines(name)) ?? []) rows.push(row);
        return rows;
      };
      await store.putLines('k/few.jsonl', [{ a: 1 }, 'two\nlines', null]);
      await store.putLines('k/many.jsonl', manyRows);
      await store.putLines('k/none.jsonl', []);
      expect(await read('k/few.jsonl')).toEqual([{ a: 1 }, 'two\nlines', null]);
      expect(await read('k/many.jsonl')).toEqual(manyRows);
      expect(await read('k/none.jsonl')).toEqual([]);
      expect(await store.readLines('k/absent.jsonl')).toBeNull();
      const bytes = await test.rawRead('k/many.jsonl');
      await test.rawWrite('k/many.jsonl', bytes.subarray(0, bytes.length / 2));
      await expect(read('k/many.jsonl')).rejects.toThrow(CorruptArtifact);
    });

    it('stores no rows as an empty object', async () => {
      const ref = await store.putLines('k/none.jsonl', []);
      expect(ref).toMatchObject({ bytes: 0, count: 0 });
      expect(await store.getLines(ref)).toEqual([]);
      expect(await store.find('k/none.jsonl')).toEqual(ref);
    });

    it('survives any JSON rows', async () => {
      let name = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.jsonValue()), async (rows) => {
          const ref = await store.putLines(`k/rows-${name++}.jsonl`, rows);
          expect(await store.getLines(ref)).toEqual(JSON.parse(JSON.stringify(rows)));
          expect(ref.count).toBe(rows.length);
        }),
        { numRuns: 30 },
      );
    });

    it('finds what was put, and null otherwise', async () => {
      expect(await store.find('k/a.json')).toBeNull();
      const ref = await store.putJson('k/a.json', { a: 1 });
      expect(await store.find('k/a.json')).toEqual(ref);
      expect(await test.second.find('k/a.json')).toEqual(ref);
      expect(await store.find('k/a.json/below.json')).toBeNull();
    });

    it('keeps the first value of a name', async () => {
      const first = await store.putJson('k/a.json', { writer: 1 });
      expect(await store.putJson('k/a.json', { writer: 2 })).toEqual(first);
      expect(await test.second.putJson('k/a.json', { writer: 3 })).toEqual(first);
      expect(await store.getJson(first)).toEqual({ writer: 1 });
    });

    it('lets exactly one of many racing writers win, and tells all of them who', async () => {
      const writers = Array.from({ length: 24 }, (_, writer) =>
        (writer % 2 ? store : test.second).putJson('k/race.json', { writer, padding: 'x'.repeat(writer * 1000) }),
      );
      const refs = await Promise.all(writers);
      expect(new Set(refs.map((ref) => ref.sha256)).size).toBe(1);
      const stored = await store.getJson<{ writer: number; padding: string }>(refs[0] as (typeof refs)[number]);
      expect(stored.padding).toHaveLength(stored.writer * 1000);
    });

    it('compresses long JSON Lines without changing their reference', async () => {
      const ref = await store.putLines('k/long.jsonl', manyRows);
      const text = manyRows.map((row) => `${JSON.stringify(row)}\n`).join('');
      expect(ref).toMatchObject({ sha256: sha256(text), bytes: text.length, count: 5000 });
      const raw = await test.rawRead('k/long.jsonl');
      expect(raw.length).toBeLessThan(text.length / 4);
      expect([...raw.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
      expect(await store.find('k/long.jsonl')).toEqual(ref);
      expect(await store.getLines(ref)).toEqual(manyRows);
    });

    it('leaves documents readable for people', async () => {
      await store.putJson('k/long.json', manyRows);
      expect(JSON.parse((await test.rawRead('k/long.json')).toString())).toEqual(manyRows);
    });

    it('reports changed bytes, naming the object', async () => {
      const ref = await store.putJson('k/a.json', { reward: 0 });
      await test.rawWrite('k/a.json', Buffer.from('{"reward":1}\n'));
      await expect(store.getJson(ref)).rejects.toThrow(CorruptArtifact);
      await expect(store.getJson(ref)).rejects.toThrow(/k\/a\.json does not match/);
    });

    it('reports a cut gzip file', async () => {
      const ref = await store.putLines('k/long.jsonl', manyRows);
      await test.rawWrite('k/long.jsonl', (await test.rawRead('k/long.jsonl')).subarray(0, 1000));
      await expect(store.getLines(ref)).rejects.toThrow(CorruptArtifact);
    });

    it('reports a missing object', async () => {
      const ref = await store.putJson('k/a.json', {});
      await expect(store.getJson({ ...ref, uri: 'k/other.json' })).rejects.toThrow(/k\/other\.json is missing/);
    });

    it('reports text that is not JSON with its line', async () => {
      const text = '{"a":1}\n{"a":\n';
      await test.rawWrite('k/bad.jsonl', Buffer.from(text));
      const ref = { uri: 'k/bad.jsonl', sha256: sha256(text), bytes: text.length, count: 2 };
      await expect(store.getLines(ref)).rejects.toThrow(/k\/bad\.jsonl, line 2 is not JSON/);
      await expect(store.getLines(ref)).rejects.toThrow(CorruptArtifact);
    });

    it('says what a newer release has stored, instead of misreading it', async () => {
      const tree = await store.putJson('k/tree.json', { schema: 'astroflow.search-tree/99' });
      await expect(store.getJson(tree)).rejects.toThrow(NewerArtifact);
      await expect(store.getJson(tree)).rejects.toThrow(/search-tree\/99, and this release reads up to version 1/);
      const rows = await store.putLines('k/rows.jsonl', [
        { schema: 'astroflow.sft-row/1' },
        { schema: 'astroflow.novelty/1' },
      ]);
      await expect(store.getLines(rows)).rejects.toThrow(/novelty\/1, and this release reads no such kind/);
    });

    it('refuses names that could leave the root or mean two things', async () => {
      const bad = ['', '/etc/x.json', '../x.json', 'a/../x.json', 'a//x.json', './x.json', '.tmp/x.json', 'a b.json'];
      for (const name of [...bad, 'a\\b.json', 'é.json', 'a/', `${'x'.repeat(300)}.json`, 'a/'.repeat(300)]) {
        await expect(store.putJson(name, 1), name).rejects.toThrow(RangeError);
        expect(() => store.locate(name), name).toThrow(RangeError);
      }
      await expect(store.putJson('k/a.jsonl', 1)).rejects.toThrow(/must end in \.json/);
      await expect(store.putLines('k/a.json', [])).rejects.toThrow(/must end in \.jsonl/);
    });

    it('refuses a value without a JSON form', async () => {
      await expect(store.putJson('k/a.json', undefined)).rejects.toThrow(TypeError);
      expect(await store.find('k/a.json')).toBeNull();
    });

    it('replaces the text of a view', async () => {
      await store.replaceText('runs/r/report.md', 'first');
      const ref = await store.replaceText('runs/r/report.md', '# second\n');
      expect(ref).toEqual({ uri: 'runs/r/report.md', sha256: sha256('# second\n'), bytes: 9, count: 1 });
      expect((await test.rawRead('runs/r/report.md')).toString()).toBe('# second\n');
    });

    it('can be checked by every writer, and has no object of it in its folders', async () => {
      await store.check();
      await test.second.check();
      await store.putJson('k/a.json', 1);
      expect(await store.list('k')).toEqual(['a.json']);
    });

    it('locates a name for people', () => {
      expect(store.locate('runs/r/report.md')).toMatch(/runs\/r\/report\.md$/);
    });
  });
}
