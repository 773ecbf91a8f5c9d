// One line on a terminal that is written over and over; nothing at all elsewhere.
import { note } from '../output.ts';

export class LiveLine {
  /** Whether there is a terminal to write to. */
  readonly isLive: boolean;
  #shown = false;

  constructor(wanted: boolean) {
    this.isLive = wanted && process.stderr.isTTY;
  }

  /** Shows text in place of what was there. */
  show(text: string): void {
    if (!this.isLive) return;
    const width = (process.stderr.columns || 80) - 1;
    process.stderr.write(`\r\u001b[2K${text.length > width ? `${text.slice(0, width - 3)}...` : text}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[2K');
    this.#shown = false;
  }

  /** A line that stays. */
  note(text: string): void {
    this.clear();
    note(text);
  }
}
