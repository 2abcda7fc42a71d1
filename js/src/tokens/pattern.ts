// The matches of a reader's pattern. Some patterns need longer than the universe has, and no page can interrupt one: a
// worker tries it, and is ended when it takes too long. Nothing of it runs on the page's own thread.

/** [start, end] of every match that is not empty. */
export type Matches = [start: number, end: number][];

export const PATIENCE_MS = 800;
/** For a worker to come up on a busy machine. */
const START_WITHIN_MS = 5000;

/** Says that it is there, then answers one question with the places of all matches in one list. */
export const WORKER_SOURCE = `onmessage = ({ data: [pattern, text] }) => {
  const places = [];
  for (const match of text.matchAll(new RegExp(pattern, "gu")))
    if (match[0]) places.push(match.index, match.index + match[0].length);
  postMessage(places);
};
postMessage("ready");`;

/** What is used of a worker. */
export interface Matcher {
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

/** Pages differ in the addresses that they let a worker come from. */
const ADDRESSES: readonly (() => string)[] = [
  () => URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" })),
  () => `data:text/javascript,${encodeURIComponent(WORKER_SOURCE)}`,
];

function started(address: string): Promise<Matcher> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(address) as unknown as Matcher;
    const timer = setTimeout(() => fail(), START_WITHIN_MS);
    const fail = () => {
      clearTimeout(timer);
      worker.terminate();
      reject(new Error("no worker"));
    };
    worker.onerror = fail;
    worker.onmessage = () => {
      clearTimeout(timer);
      resolve(worker);
    };
  });
}

async function startWorker(): Promise<Matcher> {
  for (const make of ADDRESSES) {
    const address = make();
    try {
      return await started(address);
    } catch {
      // The next kind of address may be allowed.
    } finally {
      if (address.startsWith("blob:")) URL.revokeObjectURL(address);
    }
  }
  throw new Error("Patterns are off: this page allows no worker, and without one a slow pattern could not be stopped.");
}

/** What is wrong with the pattern as it is written; empty if nothing. */
export function patternProblem(pattern: string): string {
  if (pattern === "") return "Write a regular expression.";
  try {
    new RegExp(pattern, "gu");
    return "";
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    // "Invalid regular expression: /(/gu: Unterminated group": the last part is the news
    return `Not a regular expression: ${words.slice(words.lastIndexOf(":") + 1).trim()}.`;
  }
}

/** All matches in the text. Rejects with words for the reader; ends at once when the signal aborts. */
export async function findAll(
  pattern: string,
  text: string,
  signal: AbortSignal,
  start: () => Promise<Matcher> = startWorker,
): Promise<Matches> {
  const problem = patternProblem(pattern);
  if (problem) throw new Error(problem);
  const worker = await start();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<Matches>((resolve, reject) => {
      const stop = () => reject(new Error("Another pattern has taken its place."));
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      const slow =
        "Too slow on this text: it was stopped. Repetitions inside repetitions, as in (a+)+, are the usual cause.";
      timer = setTimeout(() => reject(new Error(slow)), PATIENCE_MS);
      worker.onerror = () => reject(new Error("The pattern could not be matched."));
      worker.onmessage = ({ data }) => {
        const places = data as number[];
        resolve(Array.from({ length: places.length / 2 }, (_, i) => [places[2 * i] ?? 0, places[2 * i + 1] ?? 0]));
      };
      worker.postMessage([pattern, text]);
    });
  } finally {
    clearTimeout(timer);
    worker.terminate();
  }
}
