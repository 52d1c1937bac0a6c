import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the local host takes from host.json. */
export interface HostSettings {
  /** `extensions.http.routePrefix`; the platform's default is `api`. */
  readonly routePrefix: string;
  /** `extensions.http.customHeaders`: on every answer, also on 404. */
  readonly customHeaders: Readonly<Record<string, string>>;
}

interface HostFile {
  readonly version?: string;
  readonly extensions?: { readonly http?: Readonly<Record<string, unknown>> };
}

/**
 * Reads `host.json` of an app.
 *
 * @throws if it is unreadable, or if it asks of HTTP what the local host does not imitate: better than to be tested without it
 */
export function readHostSettings(directory: string): HostSettings {
  const file = JSON.parse(readFileSync(join(directory, 'host.json'), 'utf8')) as HostFile;
  if (file.version !== '2.0') throw new Error('host.json: "version" must be "2.0"');
  const { routePrefix = 'api', customHeaders = {}, ...others } = file.extensions?.http ?? {};
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw new Error(`host.json: the local host does not imitate extensions.http.${unknown.join(', ')}`);
  return { routePrefix: String(routePrefix), customHeaders: customHeaders as Record<string, string> };
}
