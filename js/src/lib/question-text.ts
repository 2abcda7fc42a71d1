import type { Question } from "./traits";

/** The question as one line of text: the widget's name for screen readers, and the title of exported figures. */
export function questionText(question: Question): string {
  const { target_label: target, foil_label: foil, baseline_title: baseline, method_title: method } = question;
  const parts = [
    `Why ${target || "this answer"}${foil ? ` rather than ${foil}` : ""}`,
    baseline && `compared with ${baseline}`,
    method && `by ${method}`,
  ];
  return `${parts.filter(Boolean).join(", ")}?`;
}
