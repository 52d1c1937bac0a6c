/**
 * How many operations the service takes of one vault in 10 s, by type and size of the key: `RSA-HSM/3072`. Each operation counts 1/limit of
 * the window, and types on one vault share it.
 */
export type ServiceLimits = Readonly<Record<string, number>>;

/** As the service documents them (facts, key-vault-behaviour 7.4, "other transactions"). Canary, wrap, unwrap and GET count alike. */
export const documentedLimits: ServiceLimits = {
  'RSA/2048': 4000,
  'RSA/3072': 1000,
  'RSA/4096': 500,
  'RSA-HSM/2048': 2000,
  'RSA-HSM/3072': 500,
  'RSA-HSM/4096': 250,
};
