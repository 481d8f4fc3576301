// What the clients of the token endpoint share: one exchange for each line, and a call with what it gave.

import { commands, say } from './common.mjs';

export const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Does each exchange that is asked for. `told` makes of a library's own error what it says; others are a failure. */
export async function exchangeEach(exchange, told) {
  say({ ready: true });
  for await (const command of commands) {
    try {
      const granted = await exchange(command);
      const headers = { Authorization: `Bearer ${granted.access_token}` };
      const answer = await fetch(command.backend, { headers });
      say({ answer: { granted, backend: { status: answer.status, ...(await answer.json()) } } });
    } catch (error) {
      const refused = await told(error);
      say(refused ? { answer: { refused } } : { failed: error?.stack ?? String(error) });
    }
  }
}
