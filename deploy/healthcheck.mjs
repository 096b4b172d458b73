// Whether a server on this machine is well: `node deploy/healthcheck.mjs http://127.0.0.1:9465/healthz`. Ends with 0 when
// it answers, and not with a 5xx: a page that asks for its token is well. What it answered otherwise is printed.

const [url] = process.argv.slice(2);
const answerMs = 8000;
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(answerMs) });
  if (response.status >= 500) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
