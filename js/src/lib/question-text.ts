import type { BaseStore } from "./base-store";

/** The question as one line of text: the widget's name for screen readers, and the title of exported figures. */
export function questionText(store: BaseStore): string {
  const {
    target_label: target,
    foil_label: foil,
    baseline_title: baseline,
    method_title: method,
  } = store.question.value;
  const parts = [
    `Why ${target || "this answer"}${foil ? ` rather than ${foil}` : ""}`,
    baseline && `compared with ${baseline}`,
    method && `by ${method}`,
  ];
  return `${parts.filter(Boolean).join(", ")}?`;
}
