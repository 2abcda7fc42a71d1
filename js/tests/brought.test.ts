import { expect, it } from "vitest";
import { mountStatic } from "../src/index";
import { StaticModel } from "../src/lib/static-model";
import { el, model, mount, press, settled, text, usePage } from "./page";
import { HOSTILE, heatmapState } from "./state";

usePage();

const NO_MODEL = "There is no model here.";

/** Two sets of values about two inputs, as Python sends them when they come without a model. */
function brought(): Record<string, unknown> {
  const state = heatmapState();
  const method = (name: string, title: string) => ({
    name,
    title,
    family: "f",
    summary: "",
    reference: "",
    signed: true,
    parameters: [],
  });
  const answer = (title: string, target: string, baseline = "") => ({
    maps: state.maps,
    map_data: state.map_data,
    caption: `${title} for ${target}`,
    map_key: `${title}/${target}`,
    question: {
      target: null,
      target_label: target,
      foil_label: "",
      baseline_title: baseline,
      method_title: title,
      score: null,
    },
    quality: { delta: 0.25 },
  });
  const input = (size: number) => ({ image: state.image, image_size: [size, size], region: {}, selection: {} });
  return {
    no_model: NO_MODEL,
    heading: HOSTILE,
    classes: [],
    baselines: [],
    inputs: [{ label: "one" }, { label: "two" }],
    methods: [method("a", "Alpha"), method("b", "Beta")],
    params: { input: 0, target: null, foil: null, method: "a", baseline: "", parameters: {} },
    ...answer("Alpha", "cat", "black"),
    shelf: {
      0: input(4),
      1: input(8),
      "0/a": answer("Alpha", "cat", "black"),
      "0/b": answer("Beta", "cat"),
      "1/a": answer("Alpha", "dog"),
      "1/b": answer("Beta", "dog"),
    },
  };
}

const question = () => text(".xw-question").replace(/\s+/g, " ");
const methods = () => el.querySelector<HTMLSelectElement>('select[aria-label="method"]') as HTMLSelectElement;

async function choose(value: string): Promise<void> {
  methods().value = value;
  methods().dispatchEvent(new Event("change", { bubbles: true }));
  await settled();
}

it("shows what it was given, and no control that would ask a model", async () => {
  await mount(brought());
  expect(text(".xw-title bdi")).toBe(HOSTILE);
  expect(el.querySelector("img")).toBeNull();
  expect(question()).toContain("compared with black");
  expect(el.textContent).toContain(NO_MODEL);
  expect(el.textContent).toContain("misses the change of the output by 0.25");
  expect(el.textContent).not.toContain("Test this map");
  press("?");
  await settled();
  const keys = [...el.querySelectorAll(".xw-help-row dt")].map((one) => one.textContent);
  expect(keys).toContain("v");
  for (const key of ["1…9", "⇧1…9", "w", "y", "⏎"]) expect(keys).not.toContain(key);
  press("w");
  press("1");
  press("y");
  expect(model.sent.filter((one) => !["hello", "ack"].includes(one.type))).toEqual([]);
});

it("asks the kernel where there is one", async () => {
  await mount(brought());
  await choose("b");
  expect(model.get("params")).toMatchObject({ method: "b", input: 0 });
  expect(model.get("request_id")).toBe(1);
});

it("changes between values and inputs without a kernel", async () => {
  const page = new StaticModel({ ...heatmapState(), ...brought() });
  const end = mountStatic(el, page);
  await settled();
  expect(methods().disabled).toBe(false);
  page.set("region", { x0: 0, y0: 0, x1: 2, y1: 2 });
  await choose("b");
  expect(page.get("caption")).toBe("Beta for cat");
  expect(question()).not.toContain("black");
  expect(page.get("region")).not.toEqual({});
  const second = el.querySelectorAll<HTMLButtonElement>(".xw-thumbnail")[1] as HTMLButtonElement;
  expect(second.disabled).toBe(false);
  second.click();
  await settled();
  expect(page.get("params")).toMatchObject({ method: "b", input: 1 });
  expect(page.get("caption")).toBe("Beta for dog");
  expect(page.get("image_size")).toEqual([8, 8]);
  expect(page.get("region")).toEqual({});
  page.set("shelf", {});
  await settled();
  expect(methods().disabled).toBe(true);
  end();
});
