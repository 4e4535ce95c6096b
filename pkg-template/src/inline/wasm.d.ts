// The wasm file as base64, written when the package is built.
declare const base64: string;
export default base64;
