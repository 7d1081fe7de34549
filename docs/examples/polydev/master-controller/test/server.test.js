'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');
const { create } = require('../server.js');

test('healthy, and closed to who is signed out', async () => {
  const server = create().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/api/auth`;
  try {
    const health = await fetch(`${url}/health`);
    assert.deepEqual([health.status, await health.json()], [200, { status: 'healthy' }]);
    assert.equal((await fetch(`${url}/session`)).status, 401);
    const { token } = await (await fetch(`${url}/session`, { method: 'POST' })).json();
    const session = await fetch(`${url}/session`, { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(await session.json(), { user: 'vera@polydev.ai' });
  } finally {
    server.closeAllConnections?.();
    server.close();
  }
});
