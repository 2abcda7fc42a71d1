// A native menu: keyboard, touch and screen readers come with it. Labels are text nodes, so hostile ones stay text.

export interface MenuItem {
  value: string;
  title: string;
  disabled?: boolean;
}

export interface MenuGroup {
  title: string;
  items: MenuItem[];
}

interface MenuProps {
  label: string;
  value: string;
  items?: MenuItem[];
  groups?: MenuGroup[];
  offReason?: string;
  inline?: boolean;
  onChoose(value: string): void;
}

function Item({ value, title, disabled }: MenuItem) {
  return (
    <option value={value} disabled={disabled ?? false} dir="auto">
      {title}
    </option>
  );
}

export function Menu({ label, value, items = [], groups = [], offReason = "", inline = false, onChoose }: MenuProps) {
  return (
    <select
      class={inline ? "xw-select xw-select-inline" : "xw-select"}
      aria-label={label}
      title={offReason || label}
      disabled={offReason !== ""}
      value={value}
      dir="auto"
      onChange={(event) => onChoose(event.currentTarget.value)}
    >
      {items.map((item) => (
        <Item key={item.value} {...item} />
      ))}
      {groups.map((group) => (
        <optgroup key={group.title} label={group.title}>
          {group.items.map((item) => (
            <Item key={item.value} {...item} />
          ))}
        </optgroup>
      ))}
    </select>
  );
}
