// Serves the built pages; `build.js` puts it beside them.
'use strict';

const http = require('node:http');
const pages = require('./pages.json');

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/api/health') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status: 'ok' }));
  } else if (Object.hasOwn(pages, pathname)) {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(pages[pathname]);
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end('not found\n');
  }
});

const port = Number(process.env.PORT ?? process.env.DEPLOY_PORT ?? 3000);
server.listen(port, process.env.ADDRESS ?? '127.0.0.1', () => console.log(`frontend listens on ${port}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections?.();
});
