//! Five backends as profiles. docs/presets/ has a page for each, with what it cannot say and what Holdfast does about that.

/// A profile as its text; `presets.*` of the package hands over the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the package.
    pub name: &'static str,
    /// Its golden files below `tests/fixtures/`, and its page below `docs/presets/`.
    pub page: &'static str,
    /// The profile.
    pub profile: &'static str,
}

/// All of them.
pub const PRESETS: &[Preset] = &[AURA_CONNECT, AURA_CONNECT_MOBILE, TRACK_VAULT, ARX_OS, PAY_TRACK];

/// Point of sale: one push by entity type, one pull by time.
pub const AURA_CONNECT: Preset =
    Preset { name: "auraConnect", page: "auraconnect", profile: include_str!("auraconnect.json") };

/// The same house's phones: three endpoints that push and pull at once, and decisions as calls of their own.
pub const AURA_CONNECT_MOBILE: Preset = Preset {
    name: "auraConnectMobile",
    page: "auraconnect-mobile",
    profile: include_str!("auraconnect-mobile.json"),
};

/// Field collections: batches of ten, and the ordinary list of each table.
pub const TRACK_VAULT: Preset =
    Preset { name: "trackVault", page: "trackvault", profile: include_str!("trackvault.json") };

/// Buildings: single calls or batches, and one building at a time.
pub const ARX_OS: Preset =
    Preset { name: "arxOs", page: "arxos", profile: include_str!("arxos.json") };

/// Payments: one push of changed fields, one pull by cursor.
pub const PAY_TRACK: Preset =
    Preset { name: "payTrack", page: "paytrack", profile: include_str!("paytrack.json") };
