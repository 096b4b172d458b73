/** Enough to hide the way to a remote store; few enough for what is read to fit into memory. */
const usuallyAtOnce = 16;

/** What `read` gives for each item, in order. Some are read ahead, so that the way to the store is not waited for each time. */
export async function* readAhead<T, R>(
  items: Iterable<T>,
  read: (item: T) => Promise<R>,
  atOnce = usuallyAtOnce,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  const rest = items[Symbol.iterator]();
  for (;;) {
    while (underWay.length < atOnce) {
      const next = rest.next();
      if (next.done) break;
      const one = read(next.value);
      // Told in its turn; what is never asked for may fail.
      one.catch(() => {});
      underWay.push(one);
    }
    const first = underWay.shift();
    if (first === undefined) return;
    yield await first;
  }
}
