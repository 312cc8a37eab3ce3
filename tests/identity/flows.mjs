// The flows that a client of the provider goes through to get a token: each by HTTP, as any client has to.
import { createHash, randomBytes } from 'node:crypto';

export const CLIENT = { id: 'script', secret: 'a secret of the script', redirect: 'http://127.0.0.1:9/callback' };

/** A token without a user: its `sub` is the client. */
export async function ofClient(issuer, resource, scope) {
  return ask(issuer, { grant_type: 'client_credentials', resource, ...(scope && { scope }) });
}

/** A token of a user, who signs in and comes back with a code. */
export async function ofUser(issuer, resource, scope, user) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: CLIENT.id, response_type: 'code', redirect_uri: CLIENT.redirect, resource, scope: `openid ${scope ?? ''}`.trim(),
    login_hint: user, code_challenge_method: 'S256', code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  });
  const back = await browse(`${issuer}/auth?${query}`, (url) => url.startsWith(CLIENT.redirect));
  const code = new URL(back).searchParams.get('code');
  if (!code) throw new Error(`no code in ${back}`);
  return ask(issuer, { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CLIENT.redirect, resource });
}

/** A browser that only follows redirects and keeps cookies. */
async function browse(start, isEnd) {
  const cookies = new Map();
  let url = start;
  for (let hop = 0; hop < 10; hop += 1) {
    if (isEnd(url)) return url;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const next = answer.headers.get('location');
    if (!next) throw new Error(`${answer.status} ${url}: ${await answer.text()}`);
    url = new URL(next, url).href;
  }
  throw new Error('too many redirects');
}

async function ask(issuer, parameters) {
  const authorization = `Basic ${Buffer.from([CLIENT.id, CLIENT.secret].map(encodeURIComponent).join(':')).toString('base64')}`;
  const answer = await fetch(`${issuer}/token`, { method: 'POST', headers: { authorization }, body: new URLSearchParams(parameters) });
  const document = await answer.json();
  if (!document.access_token) throw new Error(JSON.stringify(document));
  return document.access_token;
}
