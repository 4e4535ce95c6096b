// The one function of Node that the node entry uses, so that building the package needs no types of Node.
declare module "node:fs/promises" {
  export function readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>;
}
