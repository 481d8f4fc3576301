// A Triplit server in memory that pins one key.

import { quiet, serve } from './common.mjs';

quiet();
const { createServer, createTriplitStorageProvider } = await import('@triplit/server');

await serve(async (port, key) => {
  const start = await createServer({ storage: await createTriplitStorageProvider('memory'), jwtSecret: key.trim(), projectId: 'interop' });
  await new Promise((listening) => start(port, listening));
});
