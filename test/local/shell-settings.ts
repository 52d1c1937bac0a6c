/** What the local environment is made of: a shell that is set up for a deployment must not take a local broker to its store and its vaults. */
const ofTheEnvironment =
  /^KEYBROKER_(?:STORE_(?:CONNECTION_STRING|ENDPOINT)|TENANT_ID|ISSUER|AUDIENCE|JWKS_URI|IDENTITY_CLIENT_ID|CONTROL_PLANE_ENDPOINT|VAULT_HOST_SUFFIXES|RESOLVERS)$/;

/** Settings of the broker, and the names of those that were left out. */
export interface ShellSettings {
  readonly taken: Readonly<Record<string, string>>;
  readonly leftOut: readonly string[];
}

/** The settings of the broker that are set in the shell: each `KEYBROKER_…` but those that say where the local environment is, and nothing else. */
export function shellSettings(shell: Readonly<Record<string, string | undefined>>): ShellSettings {
  const taken: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const [name, value] of Object.entries(shell)) {
    if (!name.startsWith('KEYBROKER_') || value === undefined) continue;
    if (ofTheEnvironment.test(name)) leftOut.push(name);
    else taken[name] = value;
  }
  return { taken, leftOut };
}
