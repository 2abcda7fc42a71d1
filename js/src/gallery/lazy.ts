// What the page asks the kernel for only when it comes into view: the newest wishes first, one message at a time.

const WAIT_MS = 40;
const MOST_ASKED = 48;
/** Wishes that are kept: who scrolls fast does not wait for what has long gone by. */
const MOST_WISHES = 240;
const ANSWER_WITHIN_MS = 10_000;

interface Source {
  isHere(id: number): boolean;
  isLive(): boolean;
  ask(ids: number[]): void;
  lifetime: AbortSignal;
}

export class Lazy {
  #wishes: number[] = [];
  #asked: number[] = [];
  /** Asked for in vain: not asked for again. */
  readonly #missing = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly source: Source) {
    source.lifetime.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  isMissing(id: number): boolean {
    return this.#missing.has(id);
  }

  want(ids: readonly number[]): void {
    const wanted = ids.filter((id) => !this.#isSettled(id));
    if (wanted.length === 0) return;
    const isNew = new Set(wanted);
    this.#wishes = [...wanted, ...this.#wishes.filter((id) => !isNew.has(id))].slice(0, MOST_WISHES);
    if (this.#asked.length === 0) this.#askIn(WAIT_MS);
  }

  /** The kernel has answered with these, and has none of those; more may follow. */
  arrived(ids: readonly number[], failed: readonly number[]): void {
    for (const id of failed) this.#missing.add(id);
    const done = new Set([...ids, ...failed]);
    const open = this.#asked.filter((id) => !done.has(id));
    if (open.length === this.#asked.length) return; // an answer to another view
    this.#asked = open;
    if (open.length === 0) this.#askIn(0);
    else this.#giveUpIn(ANSWER_WITHIN_MS);
  }

  #isSettled(id: number): boolean {
    return this.source.isHere(id) || this.#missing.has(id) || this.#asked.includes(id);
  }

  #askIn(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), delay);
  }

  #giveUpIn(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const id of this.#asked) this.#missing.add(id);
      this.#asked = [];
      this.#ask();
    }, delay);
  }

  #ask(): void {
    const { source } = this;
    if (source.lifetime.aborted || !source.isLive()) return;
    const open = this.#wishes.filter((id) => !this.#isSettled(id));
    this.#asked = open.slice(0, MOST_ASKED);
    this.#wishes = open.slice(MOST_ASKED);
    if (this.#asked.length === 0) return;
    this.#giveUpIn(ANSWER_WITHIN_MS);
    source.ask(this.#asked);
  }
}
