// When a changed setting goes to the kernel: dragging commits at most every 250 ms, the last value always arrives,
// and letting go commits at once unless the last commit is younger than that.

export const COMMIT_EVERY_MS = 250;

export class CommitScheduler<T> {
  #pending: { value: T } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastCommit = Number.NEGATIVE_INFINITY;

  constructor(
    readonly commit: (value: T) => void,
    lifetime: AbortSignal,
    readonly now: () => number = () => performance.now(),
  ) {
    lifetime.addEventListener("abort", () => this.drop(), { once: true });
  }

  get waiting(): boolean {
    return this.#pending !== undefined;
  }

  /** A value on the way (range `input`): wait a full interval, so that a quick drag costs one run. */
  preview(value: T): void {
    this.#pending = { value };
    this.#timer ??= setTimeout(() => this.#flush(), COMMIT_EVERY_MS);
  }

  /** A settled value (`change`, a menu, a button). */
  settle(value: T): void {
    this.#pending = { value };
    clearTimeout(this.#timer);
    const wait = this.#lastCommit + COMMIT_EVERY_MS - this.now();
    if (wait <= 0) this.#flush();
    else this.#timer = setTimeout(() => this.#flush(), wait);
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = undefined;
  }

  #flush(): void {
    const pending = this.#pending;
    this.drop();
    if (pending === undefined) return;
    this.#lastCommit = this.now();
    this.commit(pending.value);
  }
}
