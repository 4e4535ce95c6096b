// Stands in for the glue and the wasm: what `open` returns is made by the test, in `globalThis.openFake`.
let panic = () => {};

export const Door = {
  open: (options, callbacks) => globalThis.openFake(options, callbacks),
};

export function holdfast_door() {
  return globalThis.fakeDoorNumber ?? 1;
}

export function on_panic(callback) {
  panic = callback;
  globalThis.fakePanic = (message) => panic(message);
}

export default async function init({ module_or_path }) {
  return await WebAssembly.instantiate(module_or_path, {});
}
