// Settings that belong to a method.

import type { Choice, Method, Parameter, ParameterValue, Params } from "./traits";

/** Parameters drawn as generic controls: the baseline has its own menu, layers and regions need a list of choices. */
export function genericParameters(method: Method | undefined): Parameter[] {
  return (method?.parameters ?? []).filter((one) => {
    if (one.kind === "baseline" || one.name === "baseline") return false;
    return (one.kind !== "layer" && one.kind !== "regions") || (one.choices?.length ?? 0) > 0;
  });
}

/** The settings after choosing a method: what both methods know is kept, the rest starts at its default. */
export function settingsFor(
  name: string,
  methods: readonly Method[],
  params: Params,
  previous: Method | undefined,
): Partial<Params> {
  const chosen = methods.find((one) => one.name === name);
  const parameters: Record<string, ParameterValue> = {};
  for (const parameter of genericParameters(chosen)) {
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
