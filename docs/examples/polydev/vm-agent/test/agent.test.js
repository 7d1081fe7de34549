'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const os = require('node:os');
const test = require('node:test');
const { create } = require('../agent.js');

async function health(work) {
  const server = create(work).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/health`);
    return [answer.status, (await answer.json()).status];
  } finally {
    server.closeAllConnections?.();
    server.close();
  }
}

test('ready when it can work, and not before', async () => {
  assert.deepEqual(await health(os.tmpdir()), [200, 'ready']);
  assert.deepEqual(await health('/nowhere/at/all'), [503, 'unready']);
});
