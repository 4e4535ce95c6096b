import {
  arxOs as arxOsProfile,
  auraConnectMobile as auraConnectMobileProfile,
  auraConnect as auraConnectProfile,
  payTrack as payTrackProfile,
  trackVault as trackVaultProfile,
} from "./profiles.js";
import type {
  ArxOsOptions,
  AuraConnectMobileOptions,
  CollectionOptions,
  ConflictPolicies,
  ConflictPolicy,
  PresetOptions,
  Presets,
  Remote,
  RestOptions,
  RestProfile,
} from "./types.js";

/**
 * A backend that you describe: where its endpoints are, what its fields are called, how it says yes and no.
 *
 * @example
 * const remote = rest({ baseUrl: "/api", profile: shop });
 */
export function rest(options: RestOptions): Remote {
  return { kind: "rest", ...options };
}

type Defaults = Readonly<Record<string, CollectionOptions>>;

function preset(
  profile: RestProfile,
  options: PresetOptions,
  collections: Defaults,
): RestOptions & { readonly kind: "rest" } {
  const { baseUrl, timeout } = options;
  return {
    kind: "rest",
    baseUrl,
    profile,
    collections,
    ...(timeout === undefined ? {} : { timeout }),
  };
}

const AURA_CONNECT: Defaults = {
  orders: { fields: { totalAmount: "server", notes: "lww", tags: "set" } },
  staff: { conflicts: "last-write-wins", fields: { shifts: "manual" } },
  menuItems: { conflicts: "last-write-wins", fields: { categories: "set" } },
  inventory: { conflicts: "server-wins" },
  customers: { fields: { preferences: "lww", tags: "set" } },
};

/** A deletion there has no time, so nobody can say which write was the last. */
const ARX_OS: ConflictPolicies = {
  updateUpdate: "last-write-wins",
  updateDelete: "merge",
  deleteUpdate: "last-write-wins",
  createCreate: "last-write-wins",
};

function all(profile: RestProfile, conflicts: ConflictPolicy | ConflictPolicies): Defaults {
  const names = Object.keys(profile.collections);
  return Object.fromEntries(names.map((name) => [name, { conflicts }]));
}

/**
 * Backends that are described already. What your `collections` do not say of conflicts and fields is as the backend's own
 * clients do it; `docs/presets/` has a page for each.
 *
 * @example
 * const remote = presets.payTrack({ baseUrl: "https://pay.example.com/api" });
 */
export const presets: Presets = {
  auraConnect: (options: PresetOptions): Remote =>
    preset(auraConnectProfile, options, AURA_CONNECT),
  auraConnectMobile: (options: AuraConnectMobileOptions): Remote => {
    const { collections } = auraConnectMobileProfile;
    const menu = { ...collections["menu"], readOnly: options.admin !== true };
    const profile = { ...auraConnectMobileProfile, collections: { ...collections, menu } };
    return preset(profile, options, {});
  },
  trackVault: (options: PresetOptions): Remote =>
    preset(trackVaultProfile, options, all(trackVaultProfile, "server-wins")),
  arxOs: (options: ArxOsOptions): Remote => ({
    ...preset(arxOsProfile, options, all(arxOsProfile, ARX_OS)),
    scope: options.building,
    syncEvery: 5 * 60_000,
  }),
  payTrack: (options: PresetOptions): Remote =>
    preset(payTrackProfile, options, all(payTrackProfile, "server-wins")),
};
