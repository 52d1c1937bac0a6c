import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventTypes } from '../../src/domain/event.ts';
import { findingCodes } from '../../src/domain/finding.ts';
import { at, Expression, infra, plain, readTemplates } from './bicep.ts';
import type { Value } from './bicep.ts';
import { analyse } from './kusto.ts';

const templates = readTemplates();

interface AlertRow {
  readonly id: string;
  readonly title: string;
  readonly severity: number;
  readonly range: string;
  readonly every: string;
  readonly query: string;
  readonly by: readonly string[];
  readonly action: string;
}

function rows<T>(path: string, variable: string): T[] {
  return plain(templates.find((one) => one.path === path)?.variables[variable]) as T[];
}

const logAlerts = rows<AlertRow>('modules/alerts.bicep', 'rules').map((row) => ({
  ...row,
  file: /alerts\/([\w-]+)\.kql/.exec(row.query)?.[1] ?? '',
}));
const query = (file: string): string => readFileSync(join(infra, 'alerts', `${file}.kql`), 'utf8');

describe('alert queries', () => {
  test('every alert has its query, and every query its alert', () => {
    expect(logAlerts.map(({ id }) => id).sort()).toEqual(
      readdirSync(join(infra, 'alerts'))
        .map((name) => name.replace('.kql', ''))
        .sort(),
    );
    for (const { id, file } of logAlerts) expect(file).toBe(id);
  });

  test.each(logAlerts)('$id names only tables, columns and functions that exist', ({ file, by }) => {
    const { errors, columns } = analyse(query(file));
    expect(errors).toEqual([]);
    expect(by.filter((column) => !columns.includes(column))).toEqual([]);
  });

  test('a column that does not exist is found', () => {
    expect(analyse("AppTraces | where Category == 'Host.Function.Console'").errors).toHaveLength(1);
  });

  test('event types and finding codes are those of the broker', () => {
    const texts = logAlerts.flatMap(({ file }) => [...query(file).matchAll(/'([^']+)'/g)].map(([, text]) => text ?? ''));
    const types = texts.filter((text) => text.startsWith('keybroker.'));
    const codes = texts.filter(
      (text) => /^Key[A-Z][a-z]+(Soon|ed)$|^Budget/.test(text) && !['KeyDelete', 'KeyPurge', 'KeyUpdate'].includes(text),
    );
    expect(types.length).toBeGreaterThan(5);
    expect(types.filter((type) => !(eventTypes as readonly string[]).includes(type))).toEqual([]);
    expect(codes.sort()).toEqual(['BudgetTight', 'KeyExpired', 'KeyExpiresSoon']);
    expect(codes.filter((code) => !(findingCodes as readonly string[]).includes(code))).toEqual([]);
  });

  test('the queries of the workbook hold too', () => {
    const workbook = JSON.parse(readFileSync(join(infra, 'workbook.json'), 'utf8')) as { items: { content: { query?: string } }[] };
    const queries = workbook.items.flatMap(({ content }) => content.query ?? []);
    expect(queries.length).toBeGreaterThan(3);
    expect(queries.flatMap((one) => analyse(one).errors)).toEqual([]);
  });
});

const minutes = (duration: string): number => {
  const [, days = '0', hours = '0', mins = '0'] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(duration) ?? [];
  return (Number(days) * 24 + Number(hours)) * 60 + Number(mins);
};

describe('alert thresholds', () => {
  test('each alert looks back at least as far as it is apart from the last look, and at most two days', () => {
    for (const { id, range, every } of logAlerts) {
      expect(minutes(range), id).toBeGreaterThanOrEqual(minutes(every));
      expect(minutes(range), id).toBeLessThanOrEqual(2 * 24 * 60);
    }
  });

  test('P1, A3: a silent audit is told in time: limit and look together stay below the 8 hours of automatic healing', () => {
    const limit = /newest < ago\((\d+)h\)/.exec(query('audit-overdue'))?.[1];
    const { every, range } = logAlerts.find(({ id }) => id === 'audit-overdue')!;
    expect(Number(limit)).toBe(7);
    expect(Number(limit) * 60 + minutes(every)).toBeLessThan(8 * 60);
    expect(minutes(range)).toBeGreaterThan(Number(limit) * 60);
  });

  test('A2: a confirmed latch is looked for at least twice in the ten minutes before databases go', () => {
    const { every, severity } = logAlerts.find(({ id }) => id === 'latch-confirmed')!;
    expect(minutes(every)).toBeLessThanOrEqual(5);
    expect(severity).toBe(1);
  });

  test('issue thresholds: circuit 5 minutes, outbox 15 minutes, saturation 80 %, any 429', () => {
    expect(query('circuit-open')).toContain('TimeGenerated < ago(5m)');
    expect(query('events-waiting')).toContain('oldestAt < ago(15m)');
    const metrics = rows<{ id: string; threshold: number }>('modules/alerts-vault.bicep', 'rules');
    expect(Object.fromEntries(metrics.map(({ id, threshold }) => [id, threshold]))).toMatchObject({
      throttled: 0,
      refused: 0,
      saturated: 80,
    });
  });

  test('the accidents of the control plane are all heard of', () => {
    const accidents = rows<{ operation: string }>('modules/alerts-activity.bicep', 'accidents').map(({ operation }) => operation);
    for (const what of [
      'KeyVault/vaults/delete',
      'KeyVault/managedHSMs/delete',
      'KeyVault/vaults/write',
      'Authorization/roleAssignments/delete',
      'Authorization/locks/delete',
      'ManagedIdentity/userAssignedIdentities/delete',
    ]) {
      expect(accidents).toContain(`Microsoft.${what}`);
    }
  });

  test('every alert says what to do, in a sentence', () => {
    const all = [
      ...logAlerts,
      ...rows<AlertRow>('modules/alerts-vault.bicep', 'rules'),
      ...rows<AlertRow>('modules/alerts-activity.bicep', 'accidents'),
    ];
    expect(all).toHaveLength(logAlerts.length + 4 + 6);
    for (const { id, action } of all) expect(action, id).toMatch(/^.{40,}\.$/);
  });

  test('metric alerts are one rule a vault: a rule over several needs them in one region', () => {
    const body = templates.find(({ path }) => path === 'modules/alerts-vault.bicep')?.resources[0]?.body;
    const scopes = at(body, 'properties', 'scopes') as Value[];
    expect(scopes).toHaveLength(1);
    expect(scopes[0]).toBeInstanceOf(Expression);
  });
});
