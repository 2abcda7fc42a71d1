// One picture: layers under a zoom, marks above it. The pointer reads the map on either picture.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Marks } from "./marks";
import { attachPointer } from "./pointer";
import type { HeatmapStore } from "./store";
import { transformOf } from "./zoom";

interface PaneProps {
  store: HeatmapStore;
  caption: ComponentChildren;
  children: ComponentChildren;
  /** Drawn above the picture without its zoom. */
  over?: ComponentChildren;
}

export function Pane({ store, caption, children, over }: PaneProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const gone = new AbortController();
    if (box.current) attachPointer(store, box.current, gone.signal);
    return () => gone.abort();
  }, [store]);
  const photo = store.photo.value;
  const map = store.map.value;
  const width = photo?.width ?? map?.width ?? 1;
  const height = photo?.height ?? map?.height ?? 1;
  return (
    <figure class="xw-pane" style={{ "--xw-ratio": width / height }}>
      <div ref={box} class="xw-viewport">
        <div class="xw-zoomed" aria-hidden="true" style={{ transform: transformOf(store.zoom.state.value) }}>
          {children}
        </div>
        <Marks store={store} />
        {over}
      </div>
      <figcaption class="xw-pane-caption">{caption}</figcaption>
    </figure>
  );
}
