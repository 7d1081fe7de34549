// Builds what Next.js calls a standalone output: one folder that `node server.js` serves, and nothing else
// is needed on the server. The same sources give the same bytes: no time, no path, no variable goes in.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const out = path.join(__dirname, '.next', 'standalone');
fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(out, { recursive: true });

const pages = {};
for (const file of fs.readdirSync(path.join(__dirname, 'app')).sort()) {
  const route = file === 'index.html' ? '/' : `/${path.basename(file, '.html')}`;
  pages[route] = fs.readFileSync(path.join(__dirname, 'app', file), 'utf8');
}
fs.writeFileSync(path.join(out, 'pages.json'), `${JSON.stringify(pages, null, 2)}\n`);
fs.copyFileSync(path.join(__dirname, 'server.js'), path.join(out, 'server.js'));
fs.writeFileSync(path.join(out, 'package.json'), '{ "name": "polydev-frontend", "private": true }\n');
console.log(`${Object.keys(pages).length} pages in .next/standalone`);
