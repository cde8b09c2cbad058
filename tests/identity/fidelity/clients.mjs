// Test stand-in, never shipped: `node clients.mjs CONFIG OIDC_PROVIDER`. A token endpoint for clients of every kind.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { Provider } = await import(pathToFileURL(`${process.argv[3]}/lib/index.js`));

const provider = new Provider(config.issuer, {
  clients: config.clients.map((client) => ({
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client,
  })),
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: config.algorithms },
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  pkce: { required: () => true },
});
provider.listen(Number(new URL(config.issuer).port), '127.0.0.1');
