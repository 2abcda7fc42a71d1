// Views of which one is on show; the arrow keys go from tab to tab. The panel has the id `<uid>-panel`.

interface TabsProps<T extends string> {
  uid: string;
  label: string;
  tabs: readonly (readonly [tab: T, text: string])[];
  chosen: T;
  onChoose(tab: T): void;
}

export function TabList<T extends string>({ uid, label, tabs, chosen, onChoose }: TabsProps<T>) {
  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || !(event.currentTarget instanceof HTMLElement)) return;
    const at = tabs.findIndex(([tab]) => tab === chosen);
    const next = tabs[(at + by + tabs.length) % tabs.length]?.[0];
    if (next === undefined) return;
    onChoose(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-tab=${next}]`)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="xw-tabs" role="tablist" aria-label={label} onKeyDown={step}>
      {tabs.map(([tab, text]) => (
        <button
          key={tab}
          type="button"
          role="tab"
          class="xw-tab"
          id={`${uid}-tab-${tab}`}
          data-tab={tab}
          aria-selected={chosen === tab}
          aria-controls={`${uid}-panel`}
          tabIndex={chosen === tab ? 0 : -1}
          onClick={() => onChoose(tab)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
