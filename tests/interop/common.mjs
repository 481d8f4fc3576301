// What the scripts share: settings as one line of JSON on standard input, results as lines of JSON on standard output.

import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Settings and commands, one line each, as they come. */
export const commands = (async function* () {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
})();

/** The settings. */
export async function readInput() {
  return (await commands.next()).value;
}

/** Keeps what libraries log out of the results. */
export function quiet() {
  console.log = console.info = console.debug = console.warn = console.error = () => {};
}

/** Says one thing to the test. */
export function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** Says a free port, is told the key to pin, and serves. */
export async function serve(start) {
  const probe = createServer();
  await new Promise((listening) => probe.listen(0, '127.0.0.1', listening));
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  say({ port });
  const { key } = await readInput();
  await start(port, key);
  say({ ready: true });
}

/** Waits until something is so. */
export async function until(what, isSo, within = 15000) {
  const end = Date.now() + within;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

/** Runs a scenario to its end, and the process with it. */
export async function run(scenario) {
  try {
    say({ ready: true });
    say({ result: await scenario(await readInput()) });
    process.exit(0);
  } catch (error) {
    say({ failed: error?.stack ?? String(error) });
    process.exit(1);
  }
}
