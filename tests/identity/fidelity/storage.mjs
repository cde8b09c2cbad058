// What the stand-in knows: people, its key, and oidc-provider's rows. In memory, kept in a file while it is down.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const OF_A_GRANT = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class Storage {
  constructor(file, accounts) {
    const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
    this.file = file;
    this.accounts = new Map(Object.entries(kept.accounts ?? accounts));
    this.rows = new Map(kept.rows);
    this.key = kept.key ?? newKey();
    this.adapter = (model) => new Adapter(model, this.rows);
  }

  save() {
    const kept = { accounts: Object.fromEntries(this.accounts), rows: [...this.rows], key: this.key };
    writeFileSync(this.file, JSON.stringify(kept), { mode: 0o600 });
  }

  rotateKey() {
    this.key = newKey();
  }

  sessionsOf(accountId) {
    return [...this.rows.values()].filter((row) => row.kind === 'Session' && row.accountId === accountId);
  }
}

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig', alg: 'PS512' };
}

class Adapter {
  constructor(model, rows) {
    this.model = model;
    this.rows = rows;
  }

  async upsert(id, payload, expiresIn) {
    const expiresAt = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    this.rows.set(`${this.model}:${id}`, { ...payload, expiresAt });
  }

  async find(id) {
    const row = this.rows.get(`${this.model}:${id}`);
    return row && (row.expiresAt ?? Infinity) > Date.now() ? row : undefined;
  }

  async findByUid(uid) {
    return [...this.rows.entries()].find(([key, row]) => key.startsWith(`${this.model}:`) && row.uid === uid)?.[1];
  }

  async consume(id) {
    this.rows.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.rows.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [key, row] of this.rows) {
      if (row.grantId === grantId && OF_A_GRANT.has(row.kind)) this.rows.delete(key);
    }
  }
}
