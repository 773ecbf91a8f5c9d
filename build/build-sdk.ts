// `npm run build`: makes dist/sdk, which `npm pack` takes as it is: JavaScript, types, a manifest, a README.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { SDK_DEPENDENCIES, SDK_ENGINES, SDK_EXPORTS, SDK_NAME, SDK_OPTIONAL_PEERS } from './sdk-package.ts';

const ROOT = join(import.meta.dirname, '..');
const OUT = join(ROOT, 'dist/sdk');

interface RootManifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

rmSync(OUT, { recursive: true, force: true });
compile(Object.values(SDK_EXPORTS).flat());
const entries = Object.entries(SDK_EXPORTS).map(([subpath, modules]) => [subpath, entryOf(subpath, modules)]);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as RootManifest;
writeFileSync(join(OUT, 'package.json'), `${JSON.stringify(sdkManifest(manifest), null, 2)}\n`);
copyFileSync(join(ROOT, 'build/sdk-readme.md'), join(OUT, 'README.md'));
copyFileSync(join(ROOT, 'LICENSE'), join(OUT, 'LICENSE'));
process.stdout.write(`dist/sdk: ${SDK_NAME} ${manifest.version}, ${entries.length} subpaths\n`);

// Only what the published modules lead to is compiled, so nothing else is in the package.
function compile(modules: readonly string[]): void {
  const settings = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: { noEmit: false, outDir: OUT, rootDir: join(ROOT, 'sdk'), declaration: true },
    include: [],
    files: modules.map((module) => join(ROOT, 'sdk', module)),
  };
  const file = join(ROOT, 'dist/tsconfig.sdk.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(settings));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', file], { stdio: 'inherit' });
  rmSync(file);
}

// The module of a subpath: the one it names, or one that gathers several.
function entryOf(subpath: string, modules: readonly string[]): { types: string; default: string } {
  const built = modules.map((module) => module.replace(/\.ts$/, ''));
  for (const name of built) {
    for (const suffix of ['.js', '.d.ts']) {
      if (!existsSync(join(OUT, name + suffix)))
        throw new Error(`${subpath}: ${name}${suffix} was not built`);
    }
  }
  const name = built.length === 1 ? built[0]! : `exports/${subpath === '.' ? 'index' : subpath.slice(2)}`;
  if (built.length > 1) {
    const text = built
      .map((module) => `export * from '${relativeTo(posix.dirname(name), module)}.js';\n`)
      .join('');
    for (const suffix of ['.js', '.d.ts']) {
      mkdirSync(dirname(join(OUT, name)), { recursive: true });
      writeFileSync(join(OUT, name + suffix), text);
    }
  }
  return { types: `./${name}.d.ts`, default: `./${name}.js` };
}

function relativeTo(folder: string, module: string): string {
  const path = posix.relative(folder, module);
  return path.startsWith('.') ? path : `./${path}`;
}

function sdkManifest({ version, license, dependencies }: RootManifest): object {
  const versionOf = (name: string) => {
    const found = dependencies[name];
    if (found === undefined || !/^\d/.test(found)) throw new Error(`${name} needs an exact version`);
    return found;
  };
  const pick = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, versionOf(name)]));
  return {
    name: SDK_NAME,
    version,
    description: 'SPIFFE identities, mutual TLS by SPIFFE ID and the Workload API, for Node, Bun and Deno.',
    license,
    type: 'module',
    sideEffects: false,
    exports: { ...Object.fromEntries(entries), './package.json': './package.json' },
    dependencies: pick(SDK_DEPENDENCIES),
    peerDependencies: Object.fromEntries(
      SDK_OPTIONAL_PEERS.map((name) => [name, `^${versionOf(name).split('.')[0]}`]),
    ),
    peerDependenciesMeta: Object.fromEntries(SDK_OPTIONAL_PEERS.map((name) => [name, { optional: true }])),
    engines: SDK_ENGINES,
  };
}
