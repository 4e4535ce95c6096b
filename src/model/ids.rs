//! Identifiers: `UUIDv7` (RFC 9562) made from a time and random bytes that are arguments. There is no global source of either.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::time::Wall;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// From its sixteen bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its sixteen bytes.
            #[must_use]
            pub fn bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }

            /// From its text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                f.write_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                to.serialize_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                Self::parse(&text).ok_or_else(|| de::Error::custom("not a UUID"))
            }
        }
    };
}

id! {
    /// Names one operation for ever; the server's idempotency key.
    OpId
}
id! {
    /// Names one conflict record.
    ConflictId
}
id! {
    /// Names one database on one device.
    DeviceId
}
id! {
    /// Names a transaction whose members are stored all or none.
    GroupId
}

/// Place of an operation in the device's one total order of writes (P24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Fencing token of the leader: the next leader's is greater, and a lower one changes nothing (R21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

/// Counts pulls that were completed; an acked operation waits for a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Where the ids of one plan come from: the nth is a function of the seed, so a plan that runs again makes the same ones.
#[derive(Debug, Clone, Copy)]
pub struct IdSeed {
    /// Goes into the first 48 bits.
    pub at: Wall,
    /// Ten random bytes; the last four count up.
    pub random: [u8; 10],
}

impl IdSeed {
    fn bytes(self, n: u32) -> [u8; 16] {
        let [a, b, c, d, e, f, rest @ ..] = self.random;
        let [g, h, i, j] = u32::from_be_bytes(rest).wrapping_add(n).to_be_bytes();
        *Builder::from_unix_timestamp_millis(self.at.0, &[a, b, c, d, e, f, g, h, i, j])
            .into_uuid()
            .as_bytes()
    }

    /// The nth operation id.
    #[must_use]
    pub fn op(self, n: u32) -> OpId {
        OpId::from_bytes(self.bytes(n))
    }

    /// The nth conflict id.
    #[must_use]
    pub fn conflict(self, n: u32) -> ConflictId {
        ConflictId::from_bytes(self.bytes(n))
    }

    /// The nth group id.
    #[must_use]
    pub fn group(self, n: u32) -> GroupId {
        GroupId::from_bytes(self.bytes(n))
    }

    /// The nth device id.
    #[must_use]
    pub fn device(self, n: u32) -> DeviceId {
        DeviceId::from_bytes(self.bytes(n))
    }

    /// The nth id for a record that the application did not name.
    #[must_use]
    pub fn entity(self, n: u32) -> String {
        OpId::from_bytes(self.bytes(n)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_seven_ordered_by_time_and_distinct() {
        let seed = IdSeed { at: Wall(1_763_650_000_000), random: [0xff; 10] };
        assert_eq!(seed.op(0).to_string(), "019aa1bb-5480-7fff-bfff-ffffffffffff");
        assert_ne!(seed.op(0), seed.op(1));
        assert_eq!(OpId::parse(&seed.op(7).to_string()), Some(seed.op(7)));
        assert!(IdSeed { at: Wall(1_763_650_000_001), random: [0; 10] }.op(0) > seed.op(0));
    }
}
