// Test stand-in for EU Login, never shipped: `node provider.mjs CONFIG OIDC_PROVIDER`.
// oidc-provider (MIT) set up as EU Login is: PS512, client_secret_jwt, no UserInfo, PKCE, acr, back-channel logout.
// What is different on purpose: the person chooses which factors they "used", and may use fewer than asked for.
import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { Storage } from './storage.mjs';
import * as pages from './pages.mjs';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { Provider, interactionPolicy } = await import(pathToFileURL(`${process.argv[3]}/lib/index.js`));

const EU = 'https://ecas.ec.europa.eu';
const GROUPS = `${EU}/claims/groups`;
const issuer = new URL(config.issuer);
const storage = new Storage(config.state, config.accounts);
const { accounts } = storage;
let provider = newProvider();

function acrOf(factors) {
  if (factors.length < 2) return `${EU}/loa/basic`;
  return factors.includes('hwk') ? `${EU}/loa/high` : `${EU}/loa/medium`;
}

function clients() {
  const common = {
    redirect_uris: [config.redirect_uri],
    post_logout_redirect_uris: [config.post_logout_redirect_uri],
    backchannel_logout_uri: config.backchannel_logout_uri,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    id_token_signed_response_alg: 'PS512',
  };
  const secret = { client_secret: config.client_secret, token_endpoint_auth_method: 'client_secret_jwt' };
  const key = { jwks: config.client_jwks, token_endpoint_auth_method: 'private_key_jwt' };
  return [{ ...common, ...(config.client_jwks ? key : secret), client_id: config.client_id }];
}

// acr_values is voluntary: who has proven less is asked again once, then told apart by the acr in the id_token.
function policy() {
  const { Check, base } = interactionPolicy;
  const prompts = base();
  const steps = new Check('acr_values', 'a stronger login is asked for', ({ oidc }) => {
    const wanted = oidc.params.acr_values?.split(' ') ?? [];
    return wanted.length > 0 && !wanted.includes(oidc.acr) && !oidc.result?.login;
  });
  prompts.get('login').checks.push(steps);
  return prompts;
}

async function grantAll(ctx) {
  const { client, session, params } = ctx.oidc;
  const known = session.grantIdFor(client.clientId);
  const grant = (known && await ctx.oidc.provider.Grant.find(known))
    || new ctx.oidc.provider.Grant({ accountId: session.accountId, clientId: client.clientId });
  grant.addOIDCScope(params.scope);
  await grant.save();
  return grant;
}

function findAccount(ctx, name) {
  const account = accounts.get(name);
  if (!account || account.disabled) return undefined;
  const claims = () => ({
    sub: name, email: `${name}@example.invalid`, name: account.full_name, [GROUPS]: account.groups,
  });
  return { accountId: name, claims };
}

function newProvider() {
  const made = new Provider(config.issuer, {
    adapter: storage.adapter,
    jwks: { keys: [storage.key] },
    clients: clients(),
    findAccount,
    loadExistingGrant: grantAll,
    scopes: ['openid', 'email', 'hr', 'offline_access'],
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time', 'sid', GROUPS], email: ['email'], hr: ['name'] },
    conformIdTokenClaims: false,
    acrValues: ['basic', 'medium', 'high'].map((name) => `${EU}/loa/${name}`),
    clientAuthMethods: ['client_secret_jwt', 'private_key_jwt'],
    enabledJWA: {
      idTokenSigningAlgValues: ['PS512'],
      clientAuthSigningAlgValues: ['HS256', 'HS512', 'PS256', 'PS512', 'RS256', 'ES256'],
    },
    pkce: { required: () => true },
    responseTypes: ['code'],
    issueRefreshToken: (ctx, client, source) => client.grantTypeAllowed('refresh_token') && config.refresh !== false,
    rotateRefreshToken: true,
    cookies: { keys: [config.client_secret], names: { session: '_eu_session' } },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}`, policy: policy() },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      claimsParameter: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => { ctx.type = 'html'; ctx.body = pages.logout(form); },
      },
    },
    fetch: loopbackFetch,
    ttl: { AccessToken: 3600, AuthorizationCode: 60, IdToken: 300, RefreshToken: 86400, Session: 86400, Grant: 86400, Interaction: 900 },
  });
  made.on('server_error', (ctx, error) => console.error('server error', error));
  made.on('grant.error', (ctx, error) => console.error('token refused', error.message, error.error_detail));
  made.on('backchannel.error', (ctx, error) => console.error('back-channel', error.message));
  return made;
}

// oidc-provider keeps away from loopback by its dispatcher; the hub under test is there.
function loopbackFetch(url, { dispatcher, ...options }) {
  return globalThis.fetch(url, options);
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function answer(response, status, text = '', type = 'text/html; charset=utf-8') {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}

async function interact(request, response) {
  const { uid, prompt } = await provider.interactionDetails(request, response);
  if (prompt.name !== 'login') throw new Error(`no page for the prompt ${prompt.name}`);
  if (request.method !== 'POST') return answer(response, 200, pages.login(`/interaction/${uid}`));
  const form = new URLSearchParams(await bodyOf(request));
  const account = accounts.get(form.get('login'));
  if (!account || account.password !== form.get('password') || account.disabled) {
    const problem = account?.disabled ? 'This account is disabled.' : 'The name or the password is not correct.';
    return answer(response, 200, pages.login(`/interaction/${uid}`, problem));
  }
  const amr = form.get('factors').split(' ');
  const login = { accountId: account.name, amr, acr: acrOf(amr) };
  return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}

async function endSessions(name) {
  const client = await provider.Client.find(config.client_id);
  for (const session of storage.sessionsOf(name)) {
    const { sid, grantId } = session.authorizations?.[config.client_id] ?? {};
    await provider.Session.adapter.destroy(session.jti);
    if (sid) await client.backchannelLogout(name, sid).catch((error) => console.error('back-channel', error.message));
    if (grantId) await provider.Grant.adapter.revokeByGrantId(grantId);
  }
}

const administer = {
  accounts: (account) => { accounts.set(account.name, account); },
  disable: ({ name }) => { accounts.get(name).disabled = true; },
  groups: ({ name, groups }) => { accounts.get(name).groups = groups; },
  'end-sessions': ({ name }) => endSessions(name),
  'age-login': ({ name, seconds }) => {
    for (const session of storage.sessionsOf(name)) session.loginTs -= seconds;
  },
  'rotate-keys': () => { storage.rotateKey(); provider = newProvider(); },
};

function allowed(request) {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${config.admin_token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function route(request, response) {
  if (request.url.startsWith(`${issuer.pathname}/`)) {
    request.originalUrl = request.url;
    request.url = request.url.slice(issuer.pathname.length);
    return provider.callback()(request, response);
  }
  if (request.url.startsWith('/interaction/')) return interact(request, response);
  const action = administer[request.url.replace('/test/', '')];
  if (!action || request.method !== 'POST' || !allowed(request)) return answer(response, 404);
  await action(JSON.parse(await bodyOf(request)));
  return answer(response, 200, '{}', 'application/json');
}

const server = createServer((request, response) => {
  route(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 400, 'This page has expired: begin again.');
  });
});
server.listen(Number(issuer.port), "127.0.0.1");
process.on('SIGTERM', () => {
  storage.save();
  process.exit(0);
});
