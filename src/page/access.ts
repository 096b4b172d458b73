import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Html, html } from '../report/html/escape.ts';
import { hasBearer, isSameSecret } from '../services/access.ts';

const cookieName = 'astroflow-page';

/** What the cookie holds: it follows from the token, so a restarted page still knows it, and does not tell the token. */
function sessionOf(token: string): string {
  return createHmac('sha256', token).update('a session of the live page').digest('base64url');
}

/** Whether a request has logged in: a browser by its cookie, a program by `Authorization: Bearer`. */
export function mayEnter({ authorization, cookie = '' }: IncomingHttpHeaders, token: string): boolean {
  const session = cookie
    .split(/; */)
    .find((one) => one.startsWith(`${cookieName}=`))
    ?.slice(cookieName.length + 1);
  return hasBearer(authorization, token) || (session !== undefined && isSameSecret(session, sessionOf(token)));
}

/**
 * What the form of `loginPage` sends, answered: the cookie that lets in, or null. No script reads it, no other site's
 * page sends it, and it ends with the browser.
 */
export function cookieFor(form: string, token: string, isHttps: boolean): string | null {
  const given = new URLSearchParams(form).get('token') ?? '';
  if (!isSameSecret(given, token)) return null;
  return `${cookieName}=${sessionOf(token)}; HttpOnly; SameSite=Strict; Path=/${isHttps ? '; Secure' : ''}`;
}

/** The token is typed into a form: an address that held it would stay in the browser's history. */
export function loginPage(wasWrong: boolean): Html {
  return html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Astroflow</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root { color-scheme: light dark; font-family: system-ui, sans-serif; } main { max-width: 24rem; margin: 4rem auto; padding: 0 1rem; } input, button { font: inherit; padding: 0.4rem; } input { width: 100%; box-sizing: border-box; margin: 0.5rem 0; }</style>
</head><body><main><h1>Astroflow</h1><form method="post" action="/login">
<label for="token">Token of this page (<code>ASTROFLOW_PAGE_TOKEN</code>)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
${wasWrong && html`<p role="alert">That is not its token.</p>`}<button>Enter</button></form></main></body></html>`;
}
