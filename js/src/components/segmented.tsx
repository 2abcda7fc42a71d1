// One of a few: native radio buttons drawn as a row.

export interface Segment<T extends string> {
  value: T;
  text: string;
  title: string;
  disabled?: boolean;
}

interface SegmentedProps<T extends string> {
  label: string;
  /** Unique in the page: radio buttons are grouped by it. */
  name: string;
  value: T;
  segments: Segment<T>[];
  onChoose(value: T): void;
}

export function Segmented<T extends string>({ label, name, value, segments, onChoose }: SegmentedProps<T>) {
  return (
    <div class="xw-segmented-field" role="radiogroup" aria-label={label}>
      <span class="xw-label" aria-hidden="true">
        {label}
      </span>
      <span class="xw-segmented">
        {segments.map((segment) => (
          <label key={segment.value} class="xw-segment" title={segment.title}>
            <input
              type="radio"
              class="xw-hidden-input"
              name={name}
              value={segment.value}
              // begins with what is seen: who speaks to the page says that
              aria-label={segment.title.startsWith(segment.text) ? segment.title : `${segment.text}: ${segment.title}`}
              checked={segment.value === value}
              disabled={segment.disabled ?? false}
              onChange={() => onChoose(segment.value)}
            />
            <span class="xw-segment-text" aria-hidden="true">
              {segment.text}
            </span>
          </label>
        ))}
      </span>
    </div>
  );
}
