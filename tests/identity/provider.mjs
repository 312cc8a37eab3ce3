// An OpenID provider that nobody here wrote, oidc-provider, and beside it a control endpoint for the test.
// Arguments: the folder `node_modules`, then the algorithms that it has keys for.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { CLIENT, ofClient, ofUser } from './flows.mjs';
import { ALGORITHMS, Keys } from './keys.mjs';

const [modules, ...algorithms] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(join(modules, 'oidc-provider/lib/index.js')));

const keys = new Keys(algorithms.length > 0 ? algorithms : ALGORITHMS);
const cookies = randomBytes(16).toString('hex');
/** What tokens shall be, by the resource that they are asked for. */
const recipes = new Map();
const counts = { jwks: 0, discovery: 0 };
let outage = { mode: 'none' };
let provider;

const front = await listening(createServer(serve));
const issuer = `http://127.0.0.1:${front.port}`;
provider = build();
const back = await listening(createServer(control));
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${back.port}` }));

async function listening(server) {
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return server.address();
}

function build() {
  const recipe = (resource) => recipes.get(resource) ?? {};
  return new Provider(issuer, {
    jwks: { keys: keys.all },
    cookies: { keys: [cookies] },
    clients: [{
      client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [CLIENT.redirect],
      grant_types: ['client_credentials', 'authorization_code'], response_types: ['code'],
    }],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid');
      const { resource } = ctx.oidc.params;
      if (recipe(resource).scope) grant.addResourceScope(resource, recipe(resource).scope);
      await grant.save();
      return grant;
    },
    extraTokenClaims: (_, token) => recipe(token.resourceServer?.identifier()).claims,
    formats: { customizers: { jwt: (_, token, jwt) => customize(jwt, recipe(token.resourceServer.identifier())) } },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          const { alg, kid, audience, lifetime, scope } = recipe(resource);
          return {
            scope: scope ?? '', audience, accessTokenFormat: 'jwt', accessTokenTTL: lifetime,
            jwt: { sign: { alg, kid } },
          };
        },
      },
    },
  });
}

/** Sets members of payload and header; null takes one away. The provider signs what comes of it. */
function customize(jwt, { payload = {}, header = {} }) {
  const merge = (target, more) => {
    for (const [name, value] of Object.entries(more)) target[name] = value ?? undefined;
    return target;
  };
  merge(jwt.payload, payload);
  jwt.header = merge(jwt.header ?? {}, header);
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, issuer);
  if (pathname.startsWith('/login/')) {
    // Everybody is whom they say they are.
    const { params } = await provider.interactionDetails(request, response);
    await provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
    return;
  }
  if (pathname.startsWith('/.well-known/')) counts.discovery += 1;
  if (pathname === '/jwks') {
    counts.jwks += 1;
    const { mode, delay = 0, status = 200, body = '', headers = {} } = outage;
    if (mode === 'hang') return;
    if (mode === 'reset') {
      request.socket.destroy();
      return;
    }
    if (mode === 'slow') await new Promise((done) => { setTimeout(done, delay); });
    if (mode === 'answer') {
      response.writeHead(status, headers).end(body);
      return;
    }
  }
  provider.callback()(request, response);
}

const CONTROLS = {
  '/mint': async ({ user, alg, lifetime = 300, audience = 'gatehouse', scope, claims, payload, header }) => {
    const resource = `urn:token:${randomBytes(8).toString('hex')}`;
    recipes.set(resource, { alg, kid: keys.signing(alg), audience, lifetime, scope, claims, payload, header });
    const token = user === undefined ? await ofClient(issuer, resource, scope) : await ofUser(issuer, resource, scope, user);
    recipes.delete(resource);
    return { token };
  },
  '/rotate': ({ alg, keepsOld }) => {
    const kid = keys.rotate(alg, keepsOld);
    provider = build();
    return { kid };
  },
  '/outage': (what) => {
    outage = what;
    return {};
  },
  '/counts': () => counts,
  '/private': () => ({ keys: keys.all }),
};

async function control(request, response) {
  try {
    let text = '';
    for await (const piece of request) text += piece;
    const answer = await CONTROLS[request.url](text ? JSON.parse(text) : {});
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: String(error.stack) }));
  }
}
