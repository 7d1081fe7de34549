// The agent inside each VM: it is ready when its work folder can be written.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');

/** The agent's server over a work folder, not yet listening. */
function create(work) {
  return http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname !== '/health') {
      response.writeHead(404).end();
      return;
    }
    fs.access(work, fs.constants.W_OK, (error) => {
      const body = error ? { status: 'unready', reason: error.code } : { status: 'ready' };
      response.writeHead(error ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
  });
}

if (require.main === module) {
  const port = Number(process.env.PORT ?? 3000);
  const address = process.env.ADDRESS ?? '0.0.0.0';
  create(process.env.AGENT_WORK ?? os.tmpdir()).listen(port, address, () => console.log(`agent listens on ${port}`));
}

module.exports = { create };
