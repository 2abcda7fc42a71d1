import { describe, expect, it } from "vitest";
import { csvText, type ExportRecord, jsonText, listText } from "../src/gallery/indices";
import { extended, toggled } from "../src/gallery/selection";
import type { Verdicts } from "../src/gallery/traits";
import { judged, tallyOf, undone } from "../src/gallery/verdicts";
import { HOSTILE } from "./state";

const NOW = new Date("2026-01-02T03:04:05Z");
const TIME = "2026-01-02T03:04:05.000Z";
const BEFORE: Verdicts = { 3: { verdict: "keep", label: null, time: "before" } };

describe("verdicts", () => {
  it("change a table into another and leave the first alone", () => {
    const { verdicts, step } = judged(BEFORE, [3, 8], "relabel", (id) => (id === 3 ? 2 : null), NOW);
    expect(verdicts).toEqual({
      3: { verdict: "relabel", label: 2, time: TIME },
      8: { verdict: "relabel", label: null, time: TIME },
    });
    expect(BEFORE[3]?.verdict).toBe("keep");
    expect(step.title).toBe("relabel for 2 examples");
    expect(undone(verdicts, step)).toEqual(BEFORE);
  });

  it("give a label to what is relabelled only, and can be taken away", () => {
    expect(judged({}, [4], "drop", () => 2, NOW).verdicts[4]).toEqual({ verdict: "drop", label: null, time: TIME });
    const { verdicts, step } = judged(BEFORE, [3], null, () => null, NOW);
    expect(verdicts).toEqual({});
    expect(undone(verdicts, step)).toEqual(BEFORE);
  });

  it("are undone one by one, what others judged meanwhile stays", () => {
    const first = judged({}, [1], "keep", () => null, NOW);
    const second = judged(first.verdicts, [1, 2], "drop", () => null, NOW);
    const meanwhile: Verdicts = { ...second.verdicts, 9: { verdict: "unsure", label: null, time: "else" } };
    const back = undone(meanwhile, second.step);
    expect(Object.keys(back)).toEqual(["1", "9"]);
    expect(back[1]?.verdict).toBe("keep");
    expect(Object.keys(undone(back, first.step))).toEqual(["9"]);
  });

  it("are counted", () => {
    const { verdicts } = judged(BEFORE, [4, 5], "drop", () => null, NOW);
    expect(tallyOf(judged(verdicts, [6], "relabel", () => 1, NOW).verdicts)).toEqual({ judged: 4, bad: 3 });
  });
});

it("a selection has each example once, in the order of choosing", () => {
  expect(toggled([4, 2], 7)).toEqual([4, 2, 7]);
  expect(toggled([4, 2], 4)).toEqual([2]);
  expect(extended([4, 2], [2, 9, 4, 1])).toEqual([4, 2, 9, 1]);
});

describe("indices as text", () => {
  const record: ExportRecord = {
    id: 12,
    given: `=cmd, "x"`,
    predicted: HOSTILE,
    confidence: 0.5,
    score: -1.25,
    self_influence: null,
    verdict: "relabel",
    new_label: "dog",
    time: TIME,
  };

  it("are a Python list", () => {
    expect(listText([3, 17])).toBe("[3, 17]");
    expect(listText([])).toBe("[]");
  });

  it("are CSV that no spreadsheet runs", () => {
    const [head, line] = csvText([record]).split("\n");
    expect(head).toBe("id,given,predicted,confidence,score,self_influence,verdict,new_label,time");
    expect(line).toContain(`12,"'=cmd, ""x""",`);
    expect(line).toContain(`,0.5,-1.25,,"relabel","dog","${TIME}"`);
  });

  it("are JSON", () => {
    expect(JSON.parse(jsonText([record]))).toEqual([record]);
  });
});
