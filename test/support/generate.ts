// Writes everything that is generated: the wire's TypeScript, the JSON Schemas of the configuration files, and the
// command line's reference. `--check` compares instead, and fails where something is stale.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandReference } from './command-reference.ts';
import { configReference, configSchemas } from './config-reference.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Generated files by their path below the root, and their content. */
function generate(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [name, schema] of configSchemas()) {
    files.set(`docs/reference/${name}.schema.json`, `${JSON.stringify(schema, null, 2)}\n`);
  }
  files.set('docs/reference/configuration.md', configReference());
  files.set('docs/reference/commands.md', commandReference());
  for (const [path, content] of generatedWire()) files.set(path, content);
  return files;
}

// buf writes into a folder of its own, so that a comparison never touches the tree.
function generatedWire(): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'sigil-generate-'));
  try {
    for (const name of ['buf.yaml', 'buf.gen.yaml']) cpSync(join(root, name), join(folder, name));
    cpSync(join(root, 'sdk/api/proto'), join(folder, 'sdk/api/proto'), { recursive: true });
    const bin = join(root, 'node_modules/.bin');
    execFileSync(join(bin, 'buf'), ['generate'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, HOME: folder },
    });
    const out = join(folder, 'sdk/api/gen');
    return new Map(
      filesBelow(out).map((file) => [join('sdk/api/gen', relative(out, file)), readFileSync(file, 'utf8')]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Paths that differ from what would be generated, also those that should be gone. */
export function staleFiles(): string[] {
  const files = generate();
  const stale = [...files].filter(([path, content]) => {
    const file = join(root, path);
    return !existsSync(file) || readFileSync(file, 'utf8') !== content;
  });
  const left = filesBelow(join(root, 'sdk/api/gen'))
    .map((file) => relative(root, file))
    .filter((path) => !files.has(path));
  return [...stale.map(([path]) => path), ...left];
}

if (import.meta.main) {
  rmSync(join(root, 'sdk/api/gen'), { recursive: true, force: true });
  for (const [path, content] of generate()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}
