import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { findAll, PATIENCE_MS, patternProblem } from "../src/tokens/pattern";
import { rememberBlobs, ThreadWorker } from "./worker";

beforeAll(() => {
  rememberBlobs();
  vi.stubGlobal("Worker", ThreadWorker);
});

afterEach(() => {
  ThreadWorker.forbidden = null;
  expect(ThreadWorker.ended).toBe(ThreadWorker.started);
});

const never = new AbortController().signal;

describe("a pattern", () => {
  it("is matched in code units, without what is empty", async () => {
    expect(await findAll("\\w+", "not good", never)).toEqual([
      [0, 3],
      [4, 8],
    ]);
    expect(await findAll("x*", "axa", never)).toEqual([[1, 2]]);
    // a sign of two code units is one letter, and counts as two places
    expect(await findAll("^.|b$", "😀ab", never)).toEqual([
      [0, 2],
      [3, 4],
    ]);
  });

  it("is told what is wrong with it", async () => {
    expect(patternProblem("")).toBe("Write a regular expression.");
    expect(patternProblem("(")).toBe("Not a regular expression: Unterminated group.");
    expect(patternProblem("[a-z]+")).toBe("");
    await expect(findAll("a(", "aaa", never)).rejects.toThrow("Not a regular expression");
  });

  it("that would take for ever is stopped, and the page goes on meanwhile", async () => {
    let ticks = 0;
    const clock = setInterval(() => ticks++, 20);
    const started = performance.now();
    await expect(findAll("(a+)+$", `${"a".repeat(60)}!`, never)).rejects.toThrow("Too slow on this text");
    clearInterval(clock);
    expect(performance.now() - started).toBeLessThan(PATIENCE_MS + 5000);
    expect(ticks).toBeGreaterThan(10);
  });

  it("makes way for the next one at once", async () => {
    const newer = new AbortController();
    const older = findAll("(a+)+$", `${"a".repeat(60)}!`, newer.signal);
    newer.abort();
    await expect(older).rejects.toThrow("Another pattern");
  });

  it("finds another way where the page forbids one, and is never tried on the page itself", async () => {
    ThreadWorker.forbidden = /^blob:/;
    expect(await findAll("b", "abc", never)).toEqual([[1, 2]]);
    ThreadWorker.forbidden = /./;
    await expect(findAll("b", "abc", never)).rejects.toThrow("could not be stopped");
  });
});
