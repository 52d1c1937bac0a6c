import { randomBytes } from 'node:crypto';
import { TableClient, TableServiceClient } from '@azure/data-tables';
import { expect, it } from 'vitest';
import { until, useJourneys } from '../support/journeys.ts';
import type { Body, PageBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* C4: a marked DEK and a marked token go through every failure; nothing that was printed or stored holds them. */
const printed: string[] = [];
const journeys = useJourneys({ instances: 2, onLine: (line) => printed.push(line) });

/** Every form in which bytes are likely to be written down. */
function formsOf(bytes: Buffer): readonly string[] {
  const base64 = bytes.toString('base64');
  return [bytes.toString('base64url'), base64.replaceAll('=', ''), bytes.toString('hex'), [...bytes].join(','), bytes.toString('latin1')];
}

async function everythingStored(connection: string): Promise<{ readonly text: string; readonly rows: number }> {
  const rows: string[] = [];
  const options = { allowInsecureConnection: true };
  for await (const { name } of TableServiceClient.fromConnectionString(connection, options).listTables()) {
    if (name === undefined) continue;
    for await (const row of TableClient.fromConnectionString(connection, name, options).listEntities()) {
      rows.push(JSON.stringify(row, (_key, value: unknown) => (value instanceof Uint8Array ? formsOf(Buffer.from(value)) : value)));
    }
  }
  return { text: rows.join('\n'), rows: rows.length };
}

it('C4: no line that a broker printed, no row of the tables and no problem holds a key byte or a token', async (context) => {
  const traveller = journeys.begin(context);
  const fleet = await traveller.fleet();
  const marked = randomBytes(32);
  const dek = marked.toString('base64url');
  const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: fleet.server });
  const path = `POST /v1/servers/${fleet.server}/databases/orders`;
  const wrapped = await traveller.call(`${path}/wrap`, { token, body: { dek } });
  const { wrappedDek, thumbprint } = wrapped.body;
  expect(wrapped.status).toBe(200);

  const problems: Answer<Body>[] = [];
  const operate = async (): Promise<void> => {
    for (const instance of [0, 1]) {
      const answers = [
        await traveller.call(`${path}/wrap`, { token, body: { dek }, instance }),
        await traveller.call(`${path}/unwrap`, { token, body: { wrappedDek, thumbprint }, instance }),
        await traveller.call(`${path}/rewrap`, { token, body: { wrappedDek, thumbprint }, instance }),
        await traveller.call(`${path}/wrap`, { token, body: { dek, algorithm: dek }, instance }),
        await traveller.call(`${path}/wrap`, { token, body: { dek: `${dek}=` }, instance }),
        await traveller.call(`${path}/wrap`, { token: `${token}x`, body: { dek }, instance }),
      ];
      problems.push(...answers.filter(({ status }) => status >= 400));
    }
  };
  await operate();
  for (const fault of [
    { fault: 'refuse' },
    { fault: 'hang' },
    { fault: 'hangBody' },
    { fault: 'reset' },
    { fault: 'status', status: 503 },
    { fault: 'html200' },
    { fault: 'wrongKid' },
    { fault: 'tls' },
    { fault: 'dns', answer: 'servfail' },
    { fault: 'throttle' },
    { fault: 'status', status: 400, code: 'BadParameter' },
    { fault: 'status', status: 403, code: 'Forbidden', innerCode: 'ForbiddenByRbac' },
    { fault: 'status', status: 418 },
  ]) {
    await traveller.fault(fleet.west, fault);
    await operate();
  }
  await traveller.control('PUT /tables/fault', { fault: 'down', instance: 1 });
  await operate();
  await traveller.control('DELETE /tables/fault');
  await traveller.control('PUT /identity/fault', { fault: 'down' });
  await operate();
  await traveller.control('POST /reset');

  const { tables } = await traveller.control<{ tables: string }>('GET /');
  await until('the records', async () => {
    const { body } = await traveller.as<PageBody<unknown>>('Auditor', `GET /v1/operations?server=${fleet.server}&limit=1000`);
    return body.items.length > 80 || undefined;
  });
  const stored = await everythingStored(tables);
  expect(stored.rows).toBeGreaterThan(20);
  expect(stored.text).toContain(fleet.principalId);
  const told = problems.map(({ body, headers }) => JSON.stringify([body, [...headers]])).join('\n');
  expect(problems.length).toBeGreaterThan(60);
  const signature = token.split('.')[2] ?? '';
  for (const secret of [...formsOf(marked), token, signature, wrappedDek ?? '']) {
    expect(
      printed.some((line) => line.includes(secret)),
      'a broker printed a secret',
    ).toBe(false);
    expect(stored.text.includes(secret), 'the tables hold a secret').toBe(false);
    expect(told.includes(secret), 'a problem holds a secret').toBe(false);
  }
});
