// Who may use the controller: bearers of a session that it issued.
'use strict';

const { randomUUID } = require('node:crypto');

/** Sessions in memory: the real controller keeps them in the database. */
class Guard {
  #sessions = new Map();

  /** Issues a session for `user` and returns its token. */
  issue(user) {
    const token = randomUUID();
    this.#sessions.set(token, user);
    return token;
  }

  /** The user of an `Authorization` header, or null. */
  user(header = '') {
    const token = header.startsWith('Bearer ') ? header.slice('Bearer '.length) : '';
    return this.#sessions.get(token) ?? null;
  }
}

module.exports = { Guard };
