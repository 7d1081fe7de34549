// The controller: sessions, and the health that a deployment looks at.
'use strict';

const http = require('node:http');
const { Guard } = require('@polydev/guard');

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** The controller's server, not yet listening. */
function create() {
  const guard = new Guard();
  return http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const user = guard.user(request.headers.authorization);
    if (pathname === '/api/auth/health') {
      json(response, 200, { status: 'healthy' });
    } else if (pathname === '/api/auth/session' && request.method === 'POST') {
      json(response, 201, { token: guard.issue('vera@polydev.ai') });
    } else if (pathname === '/api/auth/session') {
      if (user === null) json(response, 401, { error: 'signed out' });
      else json(response, 200, { user });
    } else {
      json(response, 404, { error: 'not found' });
    }
  });
}

if (require.main === module) {
  const port = Number(process.env.PORT ?? process.env.DEPLOY_PORT ?? 4000);
  const server = create();
  server.listen(port, process.env.ADDRESS ?? '127.0.0.1', () => console.log(`controller listens on ${port}`));
  // Graceful: what is being answered is answered; idle connections are not waited for.
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections?.();
  });
}

module.exports = { create };
