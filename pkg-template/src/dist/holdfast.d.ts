// What is used of the glue that wasm-bindgen writes beside the wasm file.
import type { DoorClass } from "../door.js";

export const Door: DoorClass;

/** The number of the interface between the wasm and the TypeScript. */
export function holdfast_door(): number;
/** Sets what is told about a panic. */
export function on_panic(callback: (message: string) => void): void;

export default function init(input: { module_or_path: WebAssembly.Module }): Promise<unknown>;
