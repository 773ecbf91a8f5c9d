// What this agent asks the kernel that the runtime has no function for. One file a runtime implements it.

/** Who connected a Unix socket, as the kernel recorded it at connect(2). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The kernel's answers; every descriptor that it returns is close-on-exec and belongs to the caller. */
export interface Kernel {
  /** `SO_PEERCRED` of a connected Unix socket, or undefined if the kernel refuses. */
  peerCredentials(fd: number): PeerCredentials | undefined;
  /** `SO_PEERPIDFD` (Linux 6.5): a pidfd of the peer that no recycled pid can stand in for; undefined if refused. */
  peerPidfd(fd: number): number | undefined;
  /** `pidfd_open(2)` (Linux 5.3), or undefined if there is no such process. */
  openPidfd(pid: number): number | undefined;
  /** Two connected Unix sockets. */
  socketPair(): readonly [number, number] | undefined;
}

/** The C functions that a runtime's FFI has to bind. */
export interface SystemCalls {
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array): number;
  syscall(number: bigint, first: number, second: number): bigint;
  socketpair(domain: number, type: number, protocol: number, descriptors: Uint8Array): number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
// The same number on every architecture: it is younger than the common table.
const SYS_PIDFD_OPEN = 434n;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;

/** The kernel behind a runtime's FFI. */
export function kernelOf(calls: SystemCalls): Kernel {
  const option = (fd: number, name: number, words: number): Int32Array | undefined => {
    const value = new Int32Array(words);
    const length = new Uint32Array([value.byteLength]);
    const result = calls.getsockopt(fd, SOL_SOCKET, name, bytesOf(value), bytesOf(length));
    return result === 0 && length[0] === value.byteLength ? value : undefined;
  };
  return {
    peerCredentials(fd) {
      const value = option(fd, SO_PEERCRED, 3);
      if (value === undefined) return undefined;
      // uid and gid are unsigned in the kernel.
      return { pid: value[0]!, uid: value[1]! >>> 0, gid: value[2]! >>> 0 };
    },
    peerPidfd: (fd) => option(fd, SO_PEERPIDFD, 1)?.[0],
    openPidfd(pid) {
      const fd = Number(calls.syscall(SYS_PIDFD_OPEN, pid, 0));
      return fd < 0 ? undefined : fd;
    },
    socketPair() {
      const pair = new Int32Array(2);
      if (calls.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, bytesOf(pair)) !== 0) return undefined;
      return [pair[0]!, pair[1]!];
    },
  };
}

function bytesOf(words: Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer);
}
