// The folders of the agent, with the modes that decide who gets to which socket.
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { makePrivateFolder } from '../daemon/files.ts';
import type { AgentPaths } from './config.ts';

/** Makes the data folder and those of the two sockets. */
export async function makeAgentFolders(
  dataDir: string,
  paths: AgentPaths,
  isAdminOpen: boolean,
): Promise<void> {
  await makePrivateFolder(dataDir);
  await makeSocketFolder(paths.workloadSocket, 0o755);
  await makeSocketFolder(paths.adminSocket, isAdminOpen ? 0o755 : 0o700);
  // Workloads of other users pass through to the public socket; they can list nothing on the way.
  const passed =
    isInside(dataDir, paths.workloadSocket) || (isAdminOpen && isInside(dataDir, paths.adminSocket));
  if (passed) await chmod(dataDir, 0o711);
}

// A folder that exists is the operator's: its mode is left alone.
async function makeSocketFolder(socket: string, mode: number): Promise<void> {
  const folder = dirname(resolve(socket));
  const made = await mkdir(folder, { recursive: true, mode });
  // The umask may have taken away more than was meant.
  if (made !== undefined) await chmod(folder, mode);
}

function isInside(folder: string, file: string): boolean {
  const path = relative(resolve(folder), resolve(file));
  return path !== '' && !path.startsWith('..');
}
