// A device with PouchDB whose token loses its key in the middle, and which is given another one later.

import { commands, run, say, until } from './common.mjs';
import { Device } from './pouchdb-device.mjs';

await run(async ({ gateway, good }) => {
  const device = new Device('device', gateway, good);
  await device.local.put({ _id: 'before', n: 1 });
  await until('the document is there', () => device.remote.get('before').then(() => true, () => false));
  say({ synced: true });
  await until('it is refused', () => device.refusals.length > 1, 30000);
  say({ refused: [...new Set(device.refusals)] });
  device.token = (await commands.next()).value.token;
  await device.local.put({ _id: 'after', n: 2 });
  await until('it goes on', () => device.remote.get('after').then(() => true, () => false), 30000);
  return { errors: device.errors };
});
