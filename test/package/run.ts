// `npm run test:package`: packs dist/sdk, installs the tarball into an empty project, and runs the example of its README there on
// Node, Bun and Deno, each against a Workload API. Every subpath is imported, and its types are read by tsc.
import { execFile, type ExecFileOptions } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SDK_EXPORTS, SDK_NAME, SDK_OPTIONAL_PEERS } from '../../build/sdk-package.ts';
import { runtimeCommand } from '../../cli/runtimes.ts';
import { testAuthority } from '../support/authority.ts';
import { root } from '../support/house-rules.ts';
import { TestWorkloadApi } from '../support/workload-api.ts';

const RUNTIMES = ['node', 'bun', 'deno'] as const;
const exec = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'sigil-package-'));

try {
  await check('builds', () => run('npm', ['run', '--silent', 'build'], { cwd: root }));
  const tarball = await check('packs', async () => {
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: join(root, 'dist/sdk'),
    });
    const packed = JSON.parse(stdout) as
      | readonly { filename: string; files: readonly { path: string }[] }[]
      | Readonly<Record<string, { filename: string; files: readonly { path: string }[] }>>;
    const [first] = Object.values(packed);
    const strays = first!.files.filter(({ path }) => /(^|\/)testing|\.test\.|(?<!\.d)\.ts$/.test(path));
    if (strays.length > 0) throw new Error(`does not belong: ${strays.map(({ path }) => path).join(', ')}`);
    return join(folder, first!.filename);
  });
  const project = join(folder, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }\n');
  await check('installs into an empty project', () =>
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], {
      cwd: project,
    }),
  );
  await writePrograms(project);
  for (const runtime of RUNTIMES) {
    await check(`imports every subpath on ${runtime}`, () => runProgram(runtime, project, 'imports.js', {}));
    await check(`runs the README's example on ${runtime}`, () => runExample(runtime, project));
  }
  await check('gives its types to tsc', async () => {
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    const lib = ['--lib', 'es2024,esnext.disposable', '--skipLibCheck', 'false'];
    return run(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...lib, 'types.ts'],
      {
        cwd: project,
      },
    );
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function writePrograms(project: string): Promise<void> {
  const readme = await readFile(join(project, 'node_modules', SDK_NAME, 'README.md'), 'utf8');
  const example = /^```js\n([\s\S]*?)^```$/m.exec(readme)?.[1];
  if (example === undefined) throw new Error('the README has no example');
  await writeFile(join(project, 'example.js'), example);
  const names = Object.keys(SDK_EXPORTS)
    .filter((subpath) => !SDK_OPTIONAL_PEERS.includes(subpath.slice(2)))
    .map((subpath) => SDK_NAME + subpath.slice(1));
  const imports = names.map((name, index) => `import * as m${index} from '${name}';`);
  const used = `console.log([${names.map((_, index) => `m${index}`).join(', ')}].map((m) => Object.keys(m).length));`;
  const empty = `if ([${names.map((_, index) => `m${index}`).join(', ')}].some((m) => Object.keys(m).length === 0)) throw new Error('empty');`;
  await writeFile(join(project, 'imports.js'), [...imports, used, empty].join('\n'));
  await writeFile(join(project, 'types.ts'), [...imports, used].join('\n'));
}

async function runExample(runtime: (typeof RUNTIMES)[number], project: string): Promise<void> {
  const authority = await testAuthority();
  const api = new TestWorkloadApi(join(folder, `${runtime}.sock`), authority);
  await api.start();
  try {
    api.push(await authority.issue('/web'));
    const { stdout } = await runProgram(runtime, project, 'example.js', {
      SPIFFE_ENDPOINT_SOCKET: api.endpoint,
    });
    const expected = 'I am spiffe://example.org/web\nhello, spiffe://example.org/web\n';
    if (stdout !== expected) throw new Error(`it printed ${JSON.stringify(stdout)}`);
  } finally {
    api.stop();
  }
}

function runProgram(
  runtime: (typeof RUNTIMES)[number],
  project: string,
  program: string,
  env: Readonly<Record<string, string>>,
) {
  const [command, ...args] = runtimeCommand(runtime, program, []).map((part) =>
    part === join(root, program) ? join(project, program) : part,
  );
  return run(command!, args, { cwd: project, env: { ...process.env, ...env } });
}

async function run(command: string, args: readonly string[], options: ExecFileOptions) {
  try {
    const { stdout } = await exec(command, args, { ...options, encoding: 'utf8', timeout: 60_000 });
    return { stdout };
  } catch (error) {
    const { message, stdout, stderr } = error as { message: string; stdout?: string; stderr?: string };
    throw new Error([message, stdout, stderr].filter(Boolean).join('\n'), { cause: error });
  }
}

async function check<T>(what: string, act: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await act();
  console.log(`ok ${what} (${((performance.now() - started) / 1_000).toFixed(1)} s)`);
  return result;
}
