// Who is at the other end of a Unix socket, from the kernel alone (architecture, decision 6; WE-10).
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Kernel, PeerCredentials } from './kernel.ts';
import { pinProcess, type PinnedProcess } from './pinned-process.ts';

/** Names processes so that a recycled pid is never taken for the old one. */
export interface PeerIdentifier {
  /** Whether the kernel gives a pidfd with the socket (Linux 6.5), which leaves no race at all. */
  readonly hasPeerPidfd: boolean;
  /**
   * The process that connected a socket. Close the result.
   *
   * @throws Error if the kernel does not say, or the process has ended or changed its credentials since.
   */
  identify(socket: Socket): PinnedProcess;
  /**
   * A process by its pid. Close the result.
   *
   * @throws Error if there is no such process.
   */
  pin(pid: number): PinnedProcess;
}

/** Opens this runtime's way to the kernel. */
export async function openKernel(): Promise<Kernel> {
  if (process.versions['bun'] !== undefined) return (await import('./bun.ts')).bunKernel();
  return (await import('./node.ts')).nodeKernel();
}

/** An identifier over a kernel; `hasPeerPidfd` is found out unless it is given. */
export function createPeerIdentifier(
  kernel: Kernel,
  hasPeerPidfd = supportsPeerPidfd(kernel),
): PeerIdentifier {
  const pin = (pid: number) => {
    const pidfd = kernel.openPidfd(pid);
    if (pidfd === undefined) throw new Error(`there is no process ${pid}`);
    return pinProcess(pid, pidfd);
  };
  return {
    hasPeerPidfd,
    pin,
    identify(socket) {
      const fd = descriptorOf(socket);
      const peer = kernel.peerCredentials(fd);
      if (peer === undefined) throw new Error('the kernel does not say who connected');
      // 0: a process that is not visible from this pid namespace.
      if (peer.pid <= 0) throw new Error('the process that connected is outside of this pid namespace');
      if (!hasPeerPidfd) return expectSame(pin(peer.pid), peer);
      // A refusal here means that the peer is gone. Opening its pid instead might open a successor's.
      const pidfd = kernel.peerPidfd(fd);
      if (pidfd === undefined) throw new Error(`process ${peer.pid}, which connected, has ended`);
      return expectSame(pinProcess(peer.pid, pidfd), peer);
    },
  };
}

// A process that changed its user between connect and accept is not judged by either.
function expectSame(pinned: PinnedProcess, peer: PeerCredentials): PinnedProcess {
  if (pinned.uid === peer.uid && pinned.gid === peer.gid) return pinned;
  pinned.close();
  throw new Error(`process ${peer.pid} changed its user or group after it had connected`);
}

function supportsPeerPidfd(kernel: Kernel): boolean {
  const pair = kernel.socketPair();
  if (pair === undefined) return false;
  const pidfd = kernel.peerPidfd(pair[0]);
  for (const fd of pidfd === undefined ? pair : [...pair, pidfd]) closeSync(fd);
  return pidfd !== undefined;
}

function descriptorOf(socket: Socket): number {
  const fd = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('the connection is closed');
  return fd;
}
