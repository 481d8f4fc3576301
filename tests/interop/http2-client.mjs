// Node's own client of HTTP/2: many requests at once, an upload that comes back, a feed whose token ends, a refusal.

import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';

import { run } from './common.mjs';

await run(async ({ gateway, good, short }) => {
  const session = connect(gateway, { ca: readFileSync(process.env.NODE_EXTRA_CA_CERTS) });
  const ask = (path, token, { method = 'GET', type, body } = {}) =>
    new Promise((settle, fail) => {
      const headers = { ':method': method, ':path': path, authorization: `Bearer ${token}` };
      if (type) headers['content-type'] = type;
      const stream = session.request(headers);
      const answer = { status: 0, ended: false, code: 0, pieces: [] };
      stream.on('response', (fields) => (answer.status = fields[':status']));
      stream.on('data', (piece) => answer.pieces.push(piece));
      stream.on('end', () => (answer.ended = !stream.aborted && stream.rstCode === 0));
      stream.on('error', (error) => error.code === 'ERR_HTTP2_STREAM_ERROR' || fail(error));
      stream.on('close', () => settle({ ...answer, code: stream.rstCode }));
      stream.end(body);
    });
  const whole = ({ pieces }) => Buffer.concat(pieces);

  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/whoami', good)));
  const users = answers.map((answer) => JSON.parse(whole(answer)).userId);

  const body = Buffer.alloc(1_000_000, 'abc');
  const echo = await ask('/echo-body', good, { method: 'POST', type: 'application/octet-stream', body });

  const { status, ended, code } = await ask('/changes?feed=continuous', short);
  const refused = (await ask('/whoami', 'nonsense')).status;
  session.close();
  return { users, upload: { status: echo.status, same: body.equals(whole(echo)) }, feed: { status, ended, code }, refused };
});
