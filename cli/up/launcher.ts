// Names processes to the agent over the socket pair that the agent inherited, and names those that live again to an
// agent that was started again.
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { delay } from '../../sdk/backoff.ts';
import { messageOf } from '../../sdk/error.ts';
import { Launch } from '../../sdk/api/gen/sigil/launch/v1/launch_pb.ts';
import { CliError } from '../errors.ts';
import { spawnGated } from '../launch/gate.ts';
import { PACKAGE_FOLDER } from '../runtimes.ts';
import { PairClient } from '../launch/pair-client.ts';

interface Launched {
  readonly pid: number;
  readonly startTime: bigint;
  readonly name: string;
}

const REGISTER_TIMEOUT = 10_000;

export class Launcher {
  readonly #launched = new Map<number, Launched>();
  #client: PairClient | undefined;
  #closed = false;

  /** Takes the launcher's end of a new agent's socket pair. */
  attach(socket: Duplex): void {
    this.#client?.close();
    const client = new PairClient(socket);
    this.#client = client;
    for (const launched of this.#launched.values()) {
      client.call(Launch.method.register, launched, REGISTER_TIMEOUT).catch(() => {
        // Gone, or the agent is: then the next agent is told again.
      });
    }
  }

  /** Starts a command under a name. */
  async launch(name: string, command: readonly [string, ...string[]], log: number): Promise<ChildProcess> {
    const { child, pid, startTime, release } = spawnGated(command, {
      stdio: ['pipe', 'ignore', log],
      cwd: PACKAGE_FOLDER,
      detached: true,
    });
    const launched = { pid, startTime, name };
    try {
      await this.#register(launched);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    this.#launched.set(pid, launched);
    child.once('exit', () => this.#launched.delete(pid));
    release();
    return child;
  }

  /** Names nothing any more: a launch that still waits for the agent fails. */
  close(): void {
    this.#closed = true;
    this.#client?.close();
  }

  async #register(launched: Launched): Promise<void> {
    const deadline = performance.now() + REGISTER_TIMEOUT;
    for (;;) {
      try {
        if (this.#client === undefined) throw new Error('the agent has not started');
        await this.#client.call(Launch.method.register, launched, REGISTER_TIMEOUT);
        return;
      } catch (error) {
        if (this.#closed || performance.now() > deadline) {
          throw new CliError(`the agent did not take the name ${launched.name}: ${messageOf(error)}`);
        }
        await delay(50);
      }
    }
  }
}
