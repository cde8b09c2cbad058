// oidc-provider's storage: in memory, kept in a file while the provider is down.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

export class Storage {
  constructor(file) {
    this.file = file;
    this.rows = new Map(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []);
    this.adapter = (model) => new Adapter(model, this.rows);
  }

  save() {
    writeFileSync(this.file, JSON.stringify([...this.rows]), { mode: 0o600 });
  }

  sessionsOf(accountId) {
    return [...this.rows.values()].filter((row) => row.kind === 'Session' && row.accountId === accountId);
  }
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
    for (const [key, row] of this.rows) if (row.grantId === grantId) this.rows.delete(key);
  }
}
