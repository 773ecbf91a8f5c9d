// The reference of the command line, made from the command tree.
import type { Command } from 'commander';
import { createProgram } from '../../cli/main.ts';

/** Every command with its help text. */
export function commandReference(): string {
  const program = createProgram();
  const sections = commandsBelow(program).map(({ name, command }) => {
    let text = '';
    command.configureHelp({ helpWidth: 100 }).configureOutput({
      writeOut: (part) => (text += part),
      getOutHasColors: () => false,
    });
    command.outputHelp();
    return `## ${name}\n\n\`\`\`\n${text.trim()}\n\`\`\`\n`;
  });
  return `# Commands\n\n<!-- Generated from the command tree: npm run generate -->\n\nData goes to standard output, everything else to standard error. From a checkout: \`npm run -s svid -- COMMAND\`.\n\n${sections.join('\n')}`;
}

function commandsBelow(command: Command, path = ''): { name: string; command: Command }[] {
  const name = `${path} ${command.name()}`.trim();
  return [{ name, command }, ...command.commands.flatMap((sub) => commandsBelow(sub, name))];
}
