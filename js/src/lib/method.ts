// Settings that belong to a method.

import type { Choice, Method, Parameter, ParameterValue, Params } from "./traits";

const LAYER_OF_METHOD: Choice = { value: "", title: "chosen by the method" };

/**
 * Parameters drawn as generic controls: the baseline has its own menu, a layer is one of the model's, and choices need a
 * list.
 */
export function genericParameters(method: Method | undefined, layers: readonly string[] = []): Parameter[] {
  return (method?.parameters ?? [])
    .filter((one) => one.kind !== "baseline" && one.name !== "baseline")
    .map((one) => (one.kind === "layer" ? withLayers(one, layers) : one))
    .filter((one) => (one.kind !== "layer" && one.kind !== "regions") || (one.choices?.length ?? 0) > 0);
}

function withLayers(parameter: Parameter, layers: readonly string[]): Parameter {
  const choices = layers.length > 0 ? [LAYER_OF_METHOD, ...layers] : [];
  return { ...parameter, choices, default: parameter.default ?? "" };
}

/** The settings after choosing a method: what both methods know is kept, the rest starts at its default. */
export function settingsFor(
  name: string,
  methods: readonly Method[],
  params: Params,
  previous: Method | undefined,
  layers: readonly string[] = [],
): Partial<Params> {
  const chosen = methods.find((one) => one.name === name);
  const parameters: Record<string, ParameterValue> = {};
  for (const parameter of genericParameters(chosen, layers)) {
    const shared = previous?.parameters.some((one) => one.name === parameter.name && one.kind === parameter.kind);
    const value = shared ? params.parameters[parameter.name] : undefined;
    parameters[parameter.name] = value ?? parameter.default;
  }
  return { method: name, parameters };
}

export function choiceOf(choice: Choice): { value: string | number; title: string } {
  if (typeof choice !== "object") return { value: choice, title: String(choice) };
  const value = choice.value ?? choice.name ?? "";
  return { value, title: choice.title ?? String(value) };
}
