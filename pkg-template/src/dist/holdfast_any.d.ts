// The glue beside the wasm file for any backend.
export { Door, default, holdfast_door, on_panic } from "./holdfast.js";
