// Devices with PouchDB that replicate live with a remote database, each with its own token.

import { run, until } from './common.mjs';
import { Device } from './pouchdb-device.mjs';

await run(async ({ gateway, good, another, short, forged, expiresAt }) => {
  const short_lived = new Device('short', gateway, short);
  const one = new Device('one', gateway, good);
  const two = new Device('two', gateway, good);

  await one.local.put({ _id: 'from-one', n: 1 });
  await two.receives('from-one');
  await two.local.put({ _id: 'from-two', n: 2 });
  await one.receives('from-two');
  await short_lived.receives('from-two');

  // A live change, on feeds that are open by now.
  const started = Date.now();
  await one.local.put({ _id: 'live', n: 3 });
  await two.receives('live');
  const live = Date.now() - started;

  // A fresh token, from the next request on.
  two.token = another;
  await two.local.put({ _id: 'with-another-token', n: 4 });
  await one.receives('with-another-token');

  // One token expires while its feed is open.
  await until('the token expires', () => Date.now() > expiresAt && short_lived.refusals.length > 1, 20000);
  await one.local.put({ _id: 'while-expired', n: 5 });
  const missed = !(await short_lived.has('while-expired'));
  short_lived.token = another;
  await short_lived.receives('while-expired');

  // A token that was never good ends a replication for good.
  const stranger = new Device('stranger', gateway, forged);
  await until('the replication of a stranger ends', () => stranger.errors.length > 0);

  return {
    live,
    missed,
    expired: [...new Set(short_lived.refusals)],
    errorsOfExpired: short_lived.errors,
    brokenOff: short_lived.brokenOff,
    stranger: stranger.errors,
    refusedStranger: [...new Set(stranger.refusals)],
    errors: [...one.errors, ...two.errors],
  };
});
