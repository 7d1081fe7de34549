// Every JavaScript file parses and is in strict mode.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const LEFT_OUT = new Set(['node_modules', '.next', '.git', '.deploy']);

function* sources(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (LEFT_OUT.has(entry.name)) continue;
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(file);
    else if (entry.name.endsWith('.js')) yield file;
  }
}

let bad = 0;
for (const file of sources(path.join(__dirname, '..'))) {
  if (!fs.readFileSync(file, 'utf8').includes("'use strict';")) {
    console.error(`${file}: not in strict mode`);
    bad += 1;
  }
  try {
    execFileSync(process.execPath, ['--check', file], { stdio: 'inherit' });
  } catch {
    bad += 1;
  }
}
process.exitCode = bad === 0 ? 0 : 1;
