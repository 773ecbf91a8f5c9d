// svid: one command line for everything. Each command is a file, loaded when it is used.
import { Command, CommanderError, Option } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cliErrorOf, ExitCode } from './errors.ts';
import { outputOption, workloadSocketOption } from './options.ts';
import { note, print } from './output.ts';
import { PACKAGE_FOLDER } from './runtimes.ts';
import { addAgentCommands, addTokenCommands } from './tree/agent.ts';
import { addEntryCommands } from './tree/entry.ts';
import { addExplainCommand } from './tree/explain.ts';
import { addOperateCommands, addTokenMints, addX509Mint } from './tree/operate.ts';
import { addAuthorityCommands, addBundleCommands, addFederationCommands } from './tree/trust.ts';
import { VERSION } from './version.ts';

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found, 4 refused, 5 no answer.`;

/** The command tree. Exported for the generated reference. */
export function createProgram(): Command {
  const program = new Command('svid')
    .description('SPIFFE identity and a zero-trust mesh: an identity server, a workload agent, edge proxies.')
    .version(VERSION)
    .showHelpAfterError('(--help shows the options and an example)')
    .configureOutput({
      writeOut: print,
      writeErr: (text) => process.stderr.write(text),
      outputError: (text, write) => write(`svid: ${text}`),
    })
    .addHelpText('after', EXIT_CODES);
  addUp(program);
  addPrograms(program);
  addRun(program);
  addTokenCommands(program);
  addEntryCommands(program);
  addExplainCommand(program);
  addBundleCommands(program);
  addAuthorityCommands(program);
  addFederationCommands(program);
  addWorkloadCommands(program);
  addTokenMints(program);
  addOperateCommands(program);
  return program;
}

function addUp(program: Command): void {
  program
    .command('up')
    .description(
      'Start a whole mesh on this machine: server, agent, three services behind edge proxies; Ctrl-C stops it.',
    )
    .option(
      '--check',
      'make the calls under constant traffic until every SVID has rotated, print a summary, and exit 0 or 1',
    )
    .option('--data-dir <folder>', 'keep keys, database and logs here (default: a fresh temporary folder)')
    .option('--port <name=port...>', 'fix a port: server, web, orders or payments (default: free ones)')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid up --port web=8080')
    .action(async (options) => (await import('./commands/up.ts')).up(options));
}

function addPrograms(program: Command): void {
  program
    .command('server')
    .description('Run an identity server.')
    .option('-c, --config <file>', 'its configuration', 'identity-server.yaml')
    .addHelpText('after', '\nExample:\n  svid server --config /etc/sigil/identity-server.yaml')
    .action(async (options) => (await import('./commands/programs.ts')).server(options));
  const agent = program
    .command('agent')
    .description('Run a workload agent, or look at the agents that a server knows.')
    .option('-c, --config <file>', 'its configuration', 'workload-agent.yaml')
    .addHelpText(
      'after',
      '\nExample:\n  svid agent --config /etc/sigil/workload-agent.yaml\n  svid agent list',
    )
    .action(async (options) => (await import('./commands/programs.ts')).agent(options));
  addAgentCommands(agent);
  program
    .command('proxy')
    .description('Run an edge proxy.')
    .option('-c, --config <file>', 'its configuration', 'edge-proxy.yaml')
    .addOption(
      new Option('--runtime <name>', 'what to run it on').choices(['bun', 'deno', 'node']).default('bun'),
    )
    .addHelpText('after', '\nExample:\n  svid proxy --config /etc/sigil/orders-proxy.yaml --runtime bun')
    .action(async (options) => (await import('./commands/programs.ts')).proxy(options));
}

function addRun(program: Command): void {
  program
    .command('run')
    .description('Run a command under a name that the agent vouches for: the selector launch:name:NAME.')
    .requiredOption('--as <name>', 'the name; the agent must list it for your uid under `launchers`')
    .option(
      '--agent-socket <path>',
      "the agent's admin socket (default: SIGIL_AGENT_ADMIN_SOCKET, else the mesh of `svid up`)",
    )
    .argument('<command...>', 'the command and its arguments, after --')
    .addHelpText('after', '\nExample:\n  svid run --as orders -- node orders.js')
    .action(async (command, options) => (await import('./commands/run.ts')).run(command, options));
}

function addWorkloadCommands(program: Command): void {
  const x509 = program
    .command('x509')
    .description('X509-SVIDs: of this process, from the Workload API, or minted.');
  x509
    .command('fetch')
    .description('Fetch the SVIDs that the agent has for this process. Private keys are never printed.')
    .option('--write <folder>', 'write svid.pem, svid_key.pem and bundle.pem there, mode 0600')
    .option('--timeout <duration>', 'how long to wait', '10s')
    .addOption(workloadSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid x509 fetch --write /run/my-service')
    .action(async (options) => (await import('./commands/x509.ts')).fetch(options));
  x509
    .command('watch')
    .description('Print a line each time the SVID is renewed, until Ctrl-C.')
    .addOption(workloadSocketOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  svid x509 watch')
    .action(async (options) => (await import('./commands/x509.ts')).watch(options));
  addX509Mint(x509);
}

// npm runs a script in the folder of its package; files that were typed are meant from where npm was called.
function returnToCaller(): void {
  const { INIT_CWD: caller, npm_package_json: manifest } = process.env;
  const ours = manifest === join(PACKAGE_FOLDER, 'package.json') && process.cwd() === PACKAGE_FOLDER;
  if (ours && caller !== undefined && existsSync(caller)) process.chdir(caller);
}

async function main(): Promise<void> {
  returnToCaller();
  const program = createProgram();
  overrideExit(program);
  try {
    await program.parseAsync(process.argv);
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
      return;
    }
    const error = cliErrorOf(thrown);
    note(`svid: error: ${error.message}`);
    if (error.hint !== undefined) note(`svid: hint: ${error.hint}`);
    process.exitCode = error.exitCode;
  }
}

// Commander ends the process with 1 for wrong usage; ours is 2, and standard output must be written first.
function overrideExit(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) overrideExit(sub);
}

if (import.meta.main) await main();
