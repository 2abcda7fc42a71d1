// A labelled native range with its value beside it. `onPreview` follows the hand, `onSettle` comes on release.

interface SliderProps {
  label: string;
  value: number;
  low: number;
  high: number;
  step: number;
  format(value: number): string;
  onPreview(value: number): void;
  onSettle?(value: number): void;
  log?: boolean;
  integer?: boolean;
  help?: string;
  offReason?: string;
  wide?: boolean;
}

/** Places on a logarithmic slider. */
const PLACES = 240;

function toPlace(value: number, low: number, high: number): number {
  return Math.round((PLACES * Math.log(value / low)) / Math.log(high / low));
}

function fromPlace(place: number, low: number, high: number, integer: boolean): number {
  const value = low * (high / low) ** (place / PLACES);
  return integer ? Math.round(value) : Number(value.toPrecision(3));
}

export function Slider(props: SliderProps) {
  const {
    label,
    value,
    low,
    high,
    step,
    format,
    onPreview,
    onSettle,
    integer = false,
    help = "",
    offReason = "",
  } = props;
  const log = props.log === true && low > 0 && high > low;
  const read = (element: HTMLInputElement) => {
    const number = Number(element.value);
    return log ? fromPlace(number, low, high, integer) : number;
  };
  const text = format(value);
  return (
    <label class={props.wide ? "xw-slider xw-slider-wide" : "xw-slider"} title={offReason || help}>
      <span class="xw-label">{label}</span>
      <input
        type="range"
        class="xw-range"
        min={log ? 0 : low}
        max={log ? PLACES : high}
        step={log ? 1 : step}
        value={log ? toPlace(value, low, high) : value}
        disabled={offReason !== ""}
        aria-valuetext={text}
        onInput={(event) => onPreview(read(event.currentTarget))}
        onChange={(event) => onSettle?.(read(event.currentTarget))}
      />
      {/* said as the slider's value: an output would be read as well, at every step */}
      <span class="xw-number" aria-hidden="true">
        {text}
      </span>
    </label>
  );
}
