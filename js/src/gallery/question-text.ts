import { readable } from "../lib/visible";
import type { GalleryStore } from "./store";

/** The question as one line of text: the widget's name for screen readers, and the title of files. */
export function galleryQuestion(store: GalleryStore): string {
  const { target_label: label, method_title: method } = store.question.value;
  const towards = label ? ` towards ${readable(label)}` : "";
  return `Which training examples pushed this prediction${towards}${method ? `, by ${method}` : ""}?`;
}
