// What a notebook host gives to a widget. Hosts differ in the arguments they pass to change callbacks,
// so a callback takes none and reads the model again.

export type Listener = (...parts: never[]) => void;

export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown): void;
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
}

export interface Host {
  getWidget(reference: unknown): Promise<{ exports: unknown }>;
}

export interface RenderContext {
  model: Model;
  el: HTMLElement;
  /** Absent on hosts older than anywidget 0.10. */
  signal?: AbortSignal;
  host?: Host;
}

/** Listen until the signal aborts; removes exactly this listener, never those of other views. */
export function listen(model: Model, event: string, listener: Listener, signal: AbortSignal): void {
  if (signal.aborted) return;
  model.on(event, listener);
  signal.addEventListener("abort", () => model.off(event, listener), { once: true });
}
