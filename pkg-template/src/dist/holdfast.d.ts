// What is used of the glue that wasm-bindgen writes beside the wasm file.
import type { DoorCallbacks, Door as DoorInstance, DoorOptions } from "../door.js";

export class Door {
  private constructor();
  static open(options: DoorOptions, callbacks: DoorCallbacks): Promise<DoorInstance>;
}

/** The number of the interface between the wasm and the TypeScript. */
export function holdfast_door(): number;
/** Sets what is told about a panic. */
export function on_panic(callback: (message: string) => void): void;

export default function init(input: { module_or_path: WebAssembly.Module }): Promise<unknown>;
