// The `database` key of identity-server.yaml.
import { isIP } from 'node:net';
import { z } from 'zod';

const tlsSchema = z
  .strictObject({
    ca_file: z
      .string()
      .min(1)
      .optional()
      .describe('Roots of the database (PEM). Default: those of the machine.'),
    cert_file: z
      .string()
      .min(1)
      .optional()
      .describe('Our own certificate (PEM), where the database asks for one.'),
    key_file: z.string().min(1).optional().describe('The key of `cert_file` (PEM).'),
    server_name: z
      .string()
      .min(1)
      .optional()
      .describe('The name in its certificate (PostgreSQL). Default: `host`.'),
  })
  .refine(
    ({ cert_file: cert, key_file: key }) => (cert === undefined) === (key === undefined),
    'cert_file and key_file come together',
  );

const fieldsSchema = z.strictObject({
  type: z
    .enum(['sqlite', 'postgres', 'mysql'])
    .default('sqlite')
    .describe('`sqlite`: a file in `data_dir`, for one server; the others for one server or several.'),
  url: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Instead of `host`, `port`, `user` and `name`: `postgres://user@host:5432/name` or `mysql://user@host:3306/name`.',
    ),
  host: z
    .string()
    .min(1)
    .optional()
    .describe('Name or address, or the folder of a Unix socket (PostgreSQL).'),
  port: z.int().min(1).max(65_535).optional().describe('Default: 5432 or 3306.'),
  user: z.string().min(1).optional().describe('The account.'),
  name: z.string().min(1).optional().describe('The database, which must exist.'),
  password_file: z
    .string()
    .min(1)
    .optional()
    .describe('File with the password. A password cannot stand in the configuration itself.'),
  tls: z
    .union([z.literal('off'), tlsSchema])
    .optional()
    .describe('`off`, or files. Default: TLS with the roots of the machine, except over a Unix socket.'),
  max_connections: z.int().min(2).max(1_000).default(10).describe('The most connections at once.'),
});

type Fields = z.infer<typeof fieldsSchema>;

/** The schema of `database`. A `url` comes out as its parts. */
export const databaseSchema = fieldsSchema
  .transform((fields, context): Fields => {
    const problem = (path: keyof Fields, message: string) => {
      context.addIssue({ code: 'custom', message, path: [path] });
      return z.NEVER;
    };
    const { type, url, ...rest } = fields;
    if (type === 'sqlite') {
      for (const key of ['url', 'host', 'port', 'user', 'name', 'password_file', 'tls'] as const) {
        if (fields[key] !== undefined) return problem(key, 'does not go with type sqlite');
      }
      return fields;
    }
    for (const key of ['host', 'port', 'user', 'name'] as const) {
      if (url !== undefined && rest[key] !== undefined) return problem(key, 'is in url already');
    }
    const parts = url === undefined ? {} : partsOf(url, type);
    if (typeof parts === 'string') return problem('url', parts);
    const all = { type, ...rest, ...parts };
    for (const key of ['host', 'user', 'name'] as const) {
      if (all[key] === undefined) return problem(key, `is needed for type ${type}`);
    }
    if (type === 'mysql' && all.tls !== 'off') {
      // All that its driver can check is the name that it connected to.
      if (isIP(all.host!) !== 0) return problem('host', 'must be a name for type mysql, unless tls is off');
      if (all.tls?.server_name !== undefined)
        return problem('tls', 'server_name does not go with type mysql');
    }
    return all;
  })
  .describe('Where entries, agents and authorities are kept.');

/** `database`, checked. */
export type DatabaseConfig = z.infer<typeof databaseSchema>;

// The parts of a URL, or what is wrong with it. The message never repeats it: it may hold a password.
function partsOf(text: string, type: 'postgres' | 'mysql'): Partial<Fields> | string {
  const url = URL.parse(text);
  const protocols = type === 'postgres' ? ['postgres:', 'postgresql:'] : ['mysql:', 'mariadb:'];
  if (url === null || !protocols.includes(url.protocol)) return `must be ${type}://user@host:port/name`;
  if (url.password !== '') return 'must not hold a password: use password_file';
  if (url.search !== '' || url.hash !== '') return 'must not have options: use the keys beside it';
  const name = decodeURIComponent(url.pathname.slice(1));
  return {
    host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || undefined,
    port: url.port === '' ? undefined : Number(url.port),
    user: decodeURIComponent(url.username) || undefined,
    name: name || undefined,
  };
}
