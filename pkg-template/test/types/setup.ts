// What the examples of the documentation take for granted: an application with orders.
import type {
  Collection,
  Conflict,
  Entity,
  EntityMeta,
  JsonObject,
  ParkedEntry,
  PullRequest,
  PushBatch,
  Receipt,
  RemoteChange,
  RemoteContext,
  RemoteOperation,
  RemoteOutcome,
  RestProfile,
  StandardSchema,
  SyncManager,
  Totals,
} from "holdfast";

declare global {
  interface Line {
    name: string;
    quantity: number;
    cents: number;
  }
  interface Order {
    table: number;
    status?: "open" | "paid" | "served";
    note?: string;
    lines?: Line[];
    customerId?: string;
    createdAt?: string;
  }
  interface Customer {
    name: string;
  }
  const sync: SyncManager<{ orders: Order; customers: Customer }>;
  const orders: Collection<Order>;
  const order: Entity<Order>;
  const sale: Order;
  const receipt: Receipt;
  const entry: ParkedEntry;
  const conflict: Conflict;
  const opId: string;
  const id: string;
  const batch: PushBatch;
  const operation: RemoteOperation;
  const context: RemoteContext;
  const request: PullRequest;
  const profile: RestProfile;
  const shop: RestProfile;
  const error: unknown;
  const url: string;
  const signal: AbortSignal;
  const orderSchema: StandardSchema<Order>;
  const groups: readonly Totals[];
  const session: {
    token(): Promise<string>;
    renew(): Promise<string>;
    sign(method: string, url: string, digest?: string): Promise<Record<string, string>>;
    signature(input: string, method: string, url: string, headers: object): Promise<string>;
  };
  const z: {
    object(shape: { table: unknown }): StandardSchema<Order>;
    number(): unknown;
  };
  const badge: HTMLElement;
  const states: Record<EntityMeta["state"], string>;
  function bar(done: number, total?: number): void;
  function draw(items: readonly Entity<Order>[]): void;
  function show(conflict: Conflict): void;
  function later(): void;
  function notify(text: string): void;
  function printBill(id: string): void;
  function showMessage(text: string): void;
  function showStorageHelp(): void;
  function signIn(): Promise<void>;
  function save(
    operation: RemoteOperation,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<RemoteOutcome>;
  function post(
    path: string,
    body: unknown,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<RemoteOutcome[]>;
  function changesSince(
    cursor: unknown,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ changes: RemoteChange[]; cursor: string; more: boolean }>;
  function useSyncExternalStore<T>(
    subscribe: (listener: () => void) => () => void,
    snapshot: () => T,
  ): T;
  type Json = JsonObject;
}
