// A menu of the model's classes. Those it finds unlikely are not listed: they can be asked for by number.

import { useState } from "preact/hooks";
import type { ClassScore } from "../lib/traits";
import { Menu, type MenuItem } from "./menu";

const BY_NUMBER = "by number";

interface ClassMenuProps {
  label: string;
  classes: readonly ClassScore[];
  chosen: number | null;
  /** Name of the chosen class, if it is not listed. */
  chosenName: string | null;
  /** Item for no class at all, if that is a choice. */
  none?: string;
  /** A class that is no choice here. */
  without?: number | null;
  offReason: string;
  onChoose(id: number | null): void;
}

export function ClassMenu(props: ClassMenuProps) {
  const { label, classes, chosen, chosenName, none, without = null, offReason, onChoose } = props;
  const [typing, setTyping] = useState(false);
  if (typing) {
    const finish = (number: number) => {
      setTyping(false);
      if (Number.isInteger(number) && number >= 0) onChoose(number);
    };
    return (
      <input
        type="number"
        class="xw-number-input"
        min={0}
        step={1}
        placeholder="class no."
        aria-label={`${label}: number`}
        ref={(input) => input?.focus()}
        onBlur={(event) => finish(event.currentTarget.valueAsNumber)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.value = "";
          if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
        }}
      />
    );
  }
  const items: MenuItem[] = none === undefined ? [] : [{ value: "", title: none }];
  for (const one of classes) if (one.id !== without) items.push({ value: String(one.id), title: one.name });
  if (chosen !== null && !classes.some((one) => one.id === chosen)) {
    items.push({ value: String(chosen), title: chosenName || `class ${chosen}` });
  }
  items.push({ value: BY_NUMBER, title: "another, by number…" });
  return (
    <Menu
      inline
      label={label}
      value={String(chosen ?? "")}
      items={items}
      offReason={offReason}
      onChoose={(value) => (value === BY_NUMBER ? setTyping(true) : onChoose(value === "" ? null : Number(value)))}
    />
  );
}
