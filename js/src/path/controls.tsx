// How the maps are drawn: one scale or many, with sign or without, summed or averaged.

import { Segmented } from "../components/segmented";
import { CumulativeSwitch } from "./modes";
import type { PathStore } from "./store";
import type { PathDisplay } from "./traits";

const SIGNS = [
  { value: "both", text: "+ −", title: "support and opposition in two colours" },
  { value: "absolute", text: "| |", title: "strength without sign" },
] as const;

export function PathControls({ store }: { store: PathStore }) {
  return (
    <div class="xw-path-controls">
      <label
        class="xw-field"
        title="every place gets a scale of its own: weak maps become visible, but places can no longer be compared"
      >
        <input
          type="checkbox"
          class="xw-checkbox"
          checked={store.maps.rescaled.value}
          onChange={(event) => store.local("frame_scale", event.currentTarget.checked ? "each" : "shared")}
        />
        rescale each frame
      </label>
      <Segmented<PathDisplay["sign"]>
        label="Sign"
        name={`${store.uid}-sign`}
        value={store.display.value.sign}
        segments={[...SIGNS]}
        onChoose={(sign) => store.show({ sign })}
      />
      <CumulativeSwitch store={store} />
    </div>
  );
}
