import { createRequire } from 'node:module';

/**
 * Microsoft's own Kusto language service. It is compiled from C#: the script leaves a global behind, constructors of several forms have
 * names with a `$`, and its collections count with `Count` and `getItem`.
 */
interface Collection<T> {
  readonly Count: number;
  getItem(index: number): T;
}
interface Language {
  readonly Symbols: {
    readonly TableSymbol: { From(schema: string): { WithName(name: string): object } };
    readonly DatabaseSymbol: { ctor: new (name: string, members: object[]) => object };
  };
  readonly GlobalState: { readonly Default: { WithDatabase(database: object): object } };
  readonly KustoCode: {
    ParseAndAnalyze(
      query: string,
      globals: object,
    ): {
      GetDiagnostics(): Collection<{ readonly Message: string }>;
      readonly ResultType: { readonly Columns: Collection<{ readonly Name: string }> } | null;
    };
  };
}

const require = createRequire(import.meta.url);
require('@kusto/language-service-next/bridge.js');
require('@kusto/language-service-next');
const { Language: kusto } = (globalThis as unknown as { Kusto: { Language: Language } }).Kusto;

/** Columns that the queries may use, of the tables that Azure writes: its reference of Azure Monitor's tables, of March 2026. */
const tables: Readonly<Record<string, string>> = {
  AppTraces:
    '(TimeGenerated: datetime, Message: string, SeverityLevel: int, Properties: dynamic, OperationId: string, AppRoleName: string, AppRoleInstance: string, ItemCount: int)',
  AppRequests:
    '(TimeGenerated: datetime, Name: string, ResultCode: string, Success: bool, DurationMs: real, ItemCount: int, OperationId: string, AppRoleName: string)',
  AZKVAuditLogs:
    '(TimeGenerated: datetime, OperationName: string, HttpStatusCode: int, RequestUri: string, CallerIpAddress: string, DurationMs: int, ResultSignature: string, CorrelationId: string, ClientInfo: string, _ResourceId: string)',
};

const database = new kusto.Symbols.DatabaseSymbol.ctor(
  'workspace',
  Object.entries(tables).map(([name, schema]) => kusto.Symbols.TableSymbol.From(schema).WithName(name)),
);
const globals = kusto.GlobalState.Default.WithDatabase(database);

function list<T>(collection: Collection<T>): T[] {
  return Array.from({ length: collection.Count }, (_, index) => collection.getItem(index));
}

export interface Analysis {
  /** Errors of syntax and of meaning: unknown tables, columns and functions, wrong types. */
  readonly errors: readonly string[];
  /** Columns of the result. */
  readonly columns: readonly string[];
}

export function analyse(query: string): Analysis {
  const code = kusto.KustoCode.ParseAndAnalyze(query, globals);
  return {
    errors: list(code.GetDiagnostics()).map(({ Message }) => Message),
    columns: code.ResultType ? list(code.ResultType.Columns).map(({ Name }) => Name) : [],
  };
}
