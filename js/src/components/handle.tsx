// A handle on a horizontal axis: dragged, or moved with the arrow keys.

interface HandleProps {
  class: string;
  /** Where it stands, as a share of its parent's width. */
  place: number;
  label: string;
  title?: string;
  now: number;
  low: number;
  high: number;
  text: string;
  /** Share of the parent's width under the pointer. */
  onDrag(place: number): void;
  onStep(direction: -1 | 1): void;
}

const STEPS: Record<string, -1 | 1> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

export function Handle(props: HandleProps) {
  const drag = (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    const box = handle.parentElement?.getBoundingClientRect();
    if (box && handle.hasPointerCapture(event.pointerId)) props.onDrag((event.clientX - box.left) / box.width);
  };
  return (
    <div
      class={props.class}
      data-xw-handle=""
      style={{ left: `${100 * props.place}%`, "--xw-place": props.place }}
      role="slider"
      tabIndex={0}
      title={props.title}
      aria-label={props.label}
      aria-valuemin={props.low}
      aria-valuemax={props.high}
      aria-valuenow={props.now}
      aria-valuetext={props.text}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={drag}
      onKeyDown={(event) => {
        const step = STEPS[event.key];
        if (step === undefined) return;
        event.preventDefault();
        props.onStep(step);
      }}
    />
  );
}
