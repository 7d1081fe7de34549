'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const frontend = path.join(__dirname, '..');
const standalone = path.join(frontend, '.next', 'standalone');

test('the build is whole, and the same each time', () => {
  const build = () => {
    execFileSync(process.execPath, ['build.js'], { cwd: frontend });
    return fs.readdirSync(standalone).sort().map((file) => [file, fs.readFileSync(path.join(standalone, file), 'utf8')]);
  };
  const first = build();
  assert.deepEqual(first.map(([file]) => file), ['package.json', 'pages.json', 'server.js']);
  assert.deepEqual(build(), first);
});
