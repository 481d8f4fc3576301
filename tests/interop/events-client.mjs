// Pages with an EventSource, each with its own token.

import { EventSource } from 'eventsource';
import { run, until } from './common.mjs';

class Page {
  constructor(url, token) {
    this.token = token;
    this.statuses = [];
    this.numbers = [];
    this.errors = [];
    this.source = new EventSource(url, {
      fetch: async (target, options) => {
        const answer = await fetch(target, { ...options, headers: { ...options.headers, Authorization: `Bearer ${this.token}` } });
        this.statuses.push(answer.status);
        return answer;
      },
    });
    this.source.onmessage = ({ data, lastEventId }) => {
      const { number, whole } = JSON.parse(data);
      if (!whole || String(number) !== lastEventId) throw new Error(`half an event: ${data}`);
      this.numbers.push(number);
    };
    this.source.onerror = ({ message, code }) => {
      this.errors.push({ message, code, goesOn: this.source.readyState === EventSource.CONNECTING });
      this.renew?.();
    };
  }
}

await run(async ({ gateway, short, another, expiresAt }) => {
  // One page renews its token when its stream breaks off, one does not.
  const page = new Page(`${gateway}/events?half_at=${expiresAt - 3000}`, short);
  page.renew = () => (page.token = another);
  const forgetful = new Page(`${gateway}/events`, short);
  await until('the stream breaks off', () => page.errors.length > 0, 20000);
  const before = page.numbers.length;
  await until('events come again', () => page.numbers.length > before + 20);
  page.source.close();
  await until('the other page has given up', () => forgetful.errors.some(({ goesOn }) => !goesOn));
  const { numbers, statuses, errors } = page;
  return { before, numbers, statuses, errors, forgetful: { statuses: forgetful.statuses, errors: forgetful.errors } };
});
