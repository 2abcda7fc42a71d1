/** Below this the attributions add up to the change of the output well enough to read shares from them. */
export const GOOD_GAP = 0.05;
