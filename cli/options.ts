// Options that many commands share.
import { Option } from 'commander';

export const outputOption = () =>
  new Option('-o, --output <format>', 'how to print the data').choices(['pretty', 'json']).default('pretty');

export const serverSocketOption = () =>
  new Option(
    '--socket <path>',
    "the identity server's local socket (default: SIGIL_SERVER_SOCKET, else the mesh of `svid up`)",
  );

export const workloadSocketOption = () =>
  new Option(
    '--socket <uri>',
    'the Workload API (default: SPIFFE_ENDPOINT_SOCKET, else the mesh of `svid up`)',
  );

/** How a set that something has must relate to the set that was typed. */
export const matchOption = (flag: string, what: string) =>
  new Option(`${flag} <how>`, `how ${what} must compare with those that were given`)
    .choices(['exact', 'any', 'superset', 'subset'])
    .default('superset');
