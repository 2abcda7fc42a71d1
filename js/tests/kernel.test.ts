import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeAnnouncer } from "../src/lib/announcer";
import { Bridge } from "../src/lib/bridge";
import { probeKernel } from "../src/lib/liveness";
import { CommitScheduler } from "../src/lib/scheduler";
import { StaticModel } from "../src/lib/static-model";

class ListeningModel extends StaticModel {
  override readonly isStatic = false;
  readonly sent: unknown[] = [];
  saves = 0;

  override send(content: unknown): void {
    this.sent.push(content);
  }

  override save_changes(): void {
    this.saves++;
  }
}

let ended: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  ended = new AbortController();
});
afterEach(() => {
  ended.abort();
  vi.useRealTimers();
});

describe("commits", () => {
  it("turns a burst of fifty moves into at most five runs, the last value among them", () => {
    const committed: number[] = [];
    const scheduler = new CommitScheduler<number>(
      (value) => committed.push(value),
      ended.signal,
      () => Date.now(),
    );
    for (let move = 1; move <= 50; move++) {
      scheduler.preview(move);
      vi.advanceTimersByTime(16);
    }
    scheduler.settle(50);
    vi.advanceTimersByTime(1000);
    expect(committed.length).toBeLessThanOrEqual(5);
    expect(committed.at(-1)).toBe(50);
  });

  it("commits a settled value at once, but never two within the interval", () => {
    const committed: number[] = [];
    const scheduler = new CommitScheduler<number>(
      (value) => committed.push(value),
      ended.signal,
      () => Date.now(),
    );
    scheduler.settle(1);
    expect(committed).toEqual([1]);
    scheduler.settle(2);
    scheduler.settle(3);
    expect(committed).toEqual([1]);
    vi.advanceTimersByTime(250);
    expect(committed).toEqual([1, 3]);
  });

  it("drops what waits when the view goes", () => {
    const committed: number[] = [];
    const scheduler = new CommitScheduler<number>(
      (value) => committed.push(value),
      ended.signal,
      () => Date.now(),
    );
    scheduler.preview(1);
    ended.abort();
    vi.advanceTimersByTime(1000);
    expect(committed).toEqual([]);
  });
});

describe("bridge", () => {
  it("follows the model and saves a burst of writes once", () => {
    const model = new ListeningModel({ display: { opacity: 1 } });
    const bridge = new Bridge(model, ended.signal);
    const display = bridge.trait("display", {});
    for (let i = 0; i < 20; i++) bridge.write("display", { opacity: i });
    expect(display.value).toEqual({ opacity: 19 });
    vi.advanceTimersByTime(100);
    expect(model.saves).toBe(1);
    ended.abort();
    expect(model.saves).toBe(1);
    expect(model.listenerCount).toBe(0);
  });
});

describe("liveness", () => {
  it("is read-only after two silent seconds, and live again at any sign of the kernel", () => {
    const model = new ListeningModel({});
    const kernel = probeKernel(new Bridge(model, ended.signal));
    expect(model.sent).toEqual([{ type: "hello", id: 1 }]);
    vi.advanceTimersByTime(1999);
    expect(kernel.state.value).toBe("asking");
    vi.advanceTimersByTime(1);
    expect(kernel.state.value).toBe("saved");
    model.emit("change:status");
    expect(kernel.state.value).toBe("live");
  });

  it("knows at once that an exported page has no kernel", () => {
    expect(probeKernel(new Bridge(new StaticModel({}), ended.signal)).state.value).toBe("saved");
  });

  it("is patient with a kernel it has heard", () => {
    const model = new ListeningModel({});
    const kernel = probeKernel(new Bridge(model, ended.signal));
    model.emit("msg:custom", { type: "hello", id: 1 });
    kernel.ask();
    vi.advanceTimersByTime(9000);
    expect(kernel.state.value).toBe("live");
    vi.advanceTimersByTime(1000);
    expect(kernel.state.value).toBe("saved");
  });

  it("asks again on demand", () => {
    const model = new ListeningModel({});
    const kernel = probeKernel(new Bridge(model, ended.signal));
    vi.advanceTimersByTime(2000);
    kernel.ask();
    model.emit("msg:custom", { type: "hello", id: 2 });
    vi.advanceTimersByTime(5000);
    expect(kernel.state.value).toBe("live");
  });
});

describe("announcer", () => {
  it("speaks at most once a second, and then the newest", () => {
    const announcer = makeAnnouncer(ended.signal);
    announcer.say("one");
    announcer.say("two");
    announcer.say("three");
    expect(announcer.text.value).toBe("one");
    vi.advanceTimersByTime(1000);
    expect(announcer.text.value).toBe("three");
  });
});
